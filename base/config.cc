#include "base/config.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <sstream>

#include "base/number.h"

namespace cw {

namespace {

constexpr std::size_t kMaxBytes = std::size_t{1} << 20U;

Result<bool> bool_of(std::string_view text) {
  if (text == "true") return true;
  if (text == "false") return false;
  return fail(Errc::kInvalid, fmt::format("\"{}\": want true or false", text));
}

template <typename T>
Result<T> read_number(std::string_view text) {
  if (const auto number = number_of<T>(text)) return *number;
  return fail(Errc::kInvalid,
              fmt::format("\"{}\": want a number up to {}", text, std::numeric_limits<T>::max()));
}

}  // namespace

Result<std::chrono::nanoseconds> parse_duration(std::string_view text) {
  const auto split = text.find_first_not_of("0123456789");
  const auto number = read_number<std::uint32_t>(text.substr(0, split));
  const auto unit = split == std::string_view::npos ? std::string_view{} : text.substr(split);
  std::optional<std::chrono::nanoseconds> one;
  if (unit == "ms") one = std::chrono::milliseconds(1);
  if (unit == "s") one = std::chrono::seconds(1);
  if (unit == "m") one = std::chrono::minutes(1);
  if (unit == "h") one = std::chrono::hours(1);
  if (!number || !one || (unit == "h" && *number > 1'000'000)) {
    return fail(Errc::kInvalid,
                fmt::format("\"{}\": want a duration such as 150ms, 5s, 2m or 1h", text));
  }
  return *one * *number;
}

std::string duration_text(std::chrono::nanoseconds duration) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  if (ms == 0) return "0s";
  if (ms % 3'600'000 == 0) return fmt::format("{}h", ms / 3'600'000);
  if (ms % 60'000 == 0) return fmt::format("{}m", ms / 60'000);
  if (ms % 1000 == 0) return fmt::format("{}s", ms / 1000);
  return fmt::format("{}ms", ms);
}

std::string ConfigMap::range_text(std::uint64_t least, std::uint64_t most) {
  return fmt::format("{} to {}", least, most);
}

std::string ConfigMap::range_text(std::chrono::nanoseconds least, std::chrono::nanoseconds most) {
  return fmt::format("{} to {}", duration_text(least), duration_text(most));
}

struct ConfigMap::State {
  std::string name;
  std::string path;  // of this mapping within the file: "a.b."
  YAML::Node node;
  std::set<std::string, std::less<>> known;
  std::shared_ptr<std::optional<Error>> problem;  // shared with nested maps

  void note(int line, std::string_view key, std::string_view what) {
    if (*problem) return;
    *problem =
        Error{Errc::kInvalid, fmt::format("{}:{}: {}{}: {}", name, line + 1, path, key, what)};
  }
  // yaml-cpp keeps both of two equal keys, reads the first and reports nothing.
  void note_doubles() {
    std::map<std::string, int> lines;
    for (const auto& entry : node) {
      if (!entry.first.IsScalar()) continue;
      const auto line = entry.first.Mark().line;
      const auto [first, fresh] = lines.emplace(entry.first.Scalar(), line);
      if (!fresh) {
        note(line, entry.first.Scalar(),
             fmt::format("duplicate key; the first one is in line {}", first->second + 1));
      }
    }
  }
  [[nodiscard]] YAML::Node child(std::string_view key) {
    known.emplace(key);
    const YAML::Node& fixed = node;  // const: operator[] must not insert
    return fixed[std::string(key)];
  }
};

ConfigMap::ConfigMap(std::shared_ptr<State> state) : state_(std::move(state)) {
  state_->note_doubles();
}

Result<ConfigMap> ConfigMap::parse(std::string_view text, const std::string& name) {
  if (text.size() > kMaxBytes) {
    return fail(Errc::kTooLarge,
                fmt::format("{}: {} bytes, at most {}", name, text.size(), kMaxBytes));
  }
  auto state = std::make_shared<State>();
  state->name = name;
  state->problem = std::make_shared<std::optional<Error>>();
  try {
    state->node = YAML::Load(std::string(text));
  } catch (const YAML::Exception& e) {
    return fail(Errc::kInvalid, fmt::format("{}:{}: not YAML: {}", name, e.mark.line + 1, e.msg));
  }
  if (state->node.IsNull()) state->node = YAML::Node(YAML::NodeType::Map);
  if (!state->node.IsMap()) {
    return fail(Errc::kInvalid, fmt::format("{}:1: want a mapping of keys to values", name));
  }
  return ConfigMap(std::move(state));
}

namespace {

// A value may name an environment variable such as ${NODE_NAME}, so that one file serves the pods
// of all nodes.
Result<std::string> with_environment(std::string text, const std::string& path) {
  for (auto at = text.find("${"); at != std::string::npos; at = text.find("${", at)) {
    const auto end = text.find('}', at);
    const auto line =
        std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n');
    const auto name = end == std::string::npos ? "" : text.substr(at + 2, end - at - 2);
    const auto* value = std::getenv(name.c_str());  // NOLINT(concurrency-mt-unsafe): at start
    if (value == nullptr) {
      return fail(Errc::kInvalid, fmt::format("{}:{}: ${{{}}}: no such environment variable", path,
                                              line + 1, name));
    }
    text.replace(at, end + 1 - at, value);
    at += std::strlen(value);  // what was inserted is not expanded again
  }
  return text;
}

}  // namespace

Result<ConfigMap> ConfigMap::load(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(errno_error(errno, path + ": cannot be read"));
  std::ostringstream text;
  text << file.rdbuf();
  const auto whole = with_environment(text.str(), path);
  if (!whole) return fail(whole.error());
  return parse(*whole, path);
}

bool ConfigMap::has(std::string_view key) const { return state_->child(key).IsDefined(); }

void ConfigMap::missing(std::string_view key) {
  state_->note(state_->node.Mark().line, key, "is missing");
}

void ConfigMap::problem(std::string_view key, std::string_view what) {
  const auto child = state_->child(key);
  state_->note(child.IsDefined() ? child.Mark().line : state_->node.Mark().line, key, what);
}

namespace {

template <typename T>
Result<T> value_of(std::string_view text) {
  if constexpr (std::is_same_v<T, std::string>) {
    return std::string(text);
  } else if constexpr (std::is_same_v<T, bool>) {
    return bool_of(text);
  } else if constexpr (std::is_integral_v<T>) {
    return read_number<T>(text);
  } else if constexpr (std::is_same_v<T, std::chrono::nanoseconds>) {
    return parse_duration(text);
  } else {
    return T::parse(text);
  }
}

}  // namespace

template <typename T>
void ConfigMap::read(std::string_view key, T& value) {
  const auto child = state_->child(key);
  if (!child.IsDefined() || child.IsNull()) return;
  if (!child.IsScalar()) return state_->note(child.Mark().line, key, "want one value");
  auto parsed = value_of<T>(child.Scalar());
  if (!parsed) return state_->note(child.Mark().line, key, parsed.error().text);
  if (!*state_->problem) value = std::move(*parsed);
}

template <typename T>
void ConfigMap::read(std::string_view key, std::vector<T>& value) {
  const auto child = state_->child(key);
  if (!child.IsDefined() || child.IsNull()) return;
  if (!child.IsSequence()) return state_->note(child.Mark().line, key, "want a list");
  std::vector<T> all;
  for (const auto& item : child) {
    if (!item.IsScalar())
      return state_->note(item.Mark().line, key, "want a list of single values");
    auto parsed = value_of<T>(item.Scalar());
    if (!parsed) return state_->note(item.Mark().line, key, parsed.error().text);
    all.push_back(std::move(*parsed));
  }
  if (!*state_->problem) value = std::move(all);
}

template void ConfigMap::read(std::string_view key, std::string& value);
template void ConfigMap::read(std::string_view key, bool& value);
template void ConfigMap::read(std::string_view key, std::uint16_t& value);
template void ConfigMap::read(std::string_view key, std::uint32_t& value);
template void ConfigMap::read(std::string_view key, std::chrono::nanoseconds& value);
template void ConfigMap::read(std::string_view key, Endpoint& value);
template void ConfigMap::read(std::string_view key, std::vector<std::string>& value);
template void ConfigMap::read(std::string_view key, std::vector<Prefix>& value);
template void ConfigMap::read(std::string_view key, std::vector<Endpoint>& value);
template void ConfigMap::read(std::string_view key, std::vector<Contact>& value);

void ConfigMap::read_choice(std::string_view key, std::string& value,
                            const std::vector<std::string>& choices) {
  read(key, value);
  if (std::find(choices.begin(), choices.end(), value) != choices.end()) return;
  const auto last = choices.end() - 1;
  problem(key, fmt::format("want {} or {}", fmt::join(choices.begin(), last, ", "), *last));
}

void ConfigMap::read_path(std::string_view key, std::string& value) {
  read(key, value);
  if (has(key) && (value.empty() || value.front() != '/')) problem(key, "want an absolute path");
}

void ConfigMap::read_map(std::string_view key, const std::function<void(ConfigMap&)>& use) {
  const auto child = state_->child(key);
  if (!child.IsDefined() || child.IsNull()) return;
  if (!child.IsMap()) return state_->note(child.Mark().line, key, "want a mapping");
  auto inner = std::make_shared<State>();
  inner->name = state_->name;
  inner->path = fmt::format("{}{}.", state_->path, key);
  inner->node = child;
  inner->problem = state_->problem;
  ConfigMap map(std::move(inner));
  use(map);
  (void)map.finish();  // unknown keys are stored in the shared problem
}

Result<> ConfigMap::finish() {
  for (const auto& entry : state_->node) {
    if (*state_->problem) break;
    const auto key = entry.first.IsScalar() ? entry.first.Scalar() : std::string("?");
    if (state_->known.find(key) == state_->known.end()) {
      state_->note(entry.first.Mark().line, key, "unknown key");
    }
  }
  if (*state_->problem) return fail(**state_->problem);
  return {};
}

}  // namespace cw
