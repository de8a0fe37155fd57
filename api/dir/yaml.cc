#include "api/dir/yaml.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <cctype>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <vector>

#include "base/number.h"

namespace cw::api {

using nlohmann::json;

namespace {

constexpr std::size_t kMaxBytes = std::size_t{1} << 20U;
constexpr std::size_t kMaxDepth = 64;
// Brackets open at the same time, anywhere in the text. yaml-cpp's scanner queues all brackets of a
// line before its first event, at about 200 bytes each. So the depth is limited before it runs.
constexpr std::size_t kMaxOpen = 512;

// The JSON value of a plain (unquoted) scalar, by YAML 1.2's core schema.
json plain_value(const std::string& text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL")
    return nullptr;
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  if (const auto number = number_of<std::int64_t>(text)) {
    if (*number >= 0) return static_cast<std::uint64_t>(*number);
    return *number;
  }
  if (const auto large = number_of<std::uint64_t>(text)) return *large;
  if (text.find_first_not_of("0123456789+-.eE") == std::string::npos) {
    if (const auto real = number_of<double>(text); real && std::isfinite(*real)) return *real;
  }
  return text;
}

// The first line that is not UTF-8. yaml-cpp would pass its bytes on, and JSON cannot hold them.
std::optional<std::size_t> invalid_utf8(std::string_view text) {
  constexpr auto kIgnore = json::error_handler_t::ignore;
  std::size_t line = 1;
  while (!text.empty()) {
    const auto end = text.find('\n');
    const std::string one(text.substr(0, end));
    if (json(one).dump(-1, ' ', false, kIgnore) !=
        json(one).dump(-1, ' ', false, json::error_handler_t::replace)) {
      return line;
    }
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
    ++line;
  }
  return std::nullopt;
}

std::optional<std::size_t> too_many_open(std::string_view text) {
  std::size_t line = 1;
  std::size_t open = 0;
  for (const char c : text) {
    if (c == '\n') ++line;
    if (c == '[' || c == '{') ++open;
    if ((c == ']' || c == '}') && open > 0) --open;
    if (open > kMaxOpen) return line;
  }
  return std::nullopt;
}

struct Refused {
  int line;
  std::string what;
};

// Builds JSON from parser events. yaml-cpp's own node tree would follow aliases and drop
// duplicates.
class Builder final : public YAML::EventHandler {
 public:
  json take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override { add(mark, nullptr, ""); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    throw Refused{mark.line, "aliases are not allowed"};
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                const std::string& value) override {
    // yaml-cpp reports the tag "!" for a quoted scalar, and "?" or none for a plain one.
    const bool plain = tag.empty() || tag == "?";
    if (!plain && tag != "!") throw Refused{mark.line, "tags are not allowed"};
    add(mark, plain ? plain_value(value) : json(value), value);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    open(mark, json::array());
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {
    open(mark, json::object());
  }
  void OnMapEnd() override { close(); }
  void OnAnchor(const YAML::Mark& mark, const std::string&) override {
    throw Refused{mark.line, "anchors are not allowed"};
  }

 private:
  struct Level {
    json value;
    std::string key;
    bool has_key = false;
  };

  void open(const YAML::Mark& mark, json value) {
    if (stack_.size() >= kMaxDepth) throw Refused{mark.line, "nested too deeply"};
    if (!stack_.empty() && stack_.back().value.is_object() && !stack_.back().has_key) {
      throw Refused{mark.line, "a key must be a string"};
    }
    stack_.push_back({std::move(value), {}, false});
  }
  void close() {
    auto done = std::move(stack_.back().value);
    stack_.pop_back();
    put(std::move(done));
  }
  void add(const YAML::Mark& mark, json value, const std::string& text) {
    if (!stack_.empty() && stack_.back().value.is_object() && !stack_.back().has_key) {
      auto& level = stack_.back();
      if (value.is_null() || level.value.contains(text)) {
        throw Refused{mark.line, value.is_null() ? "a key must be a string"
                                                 : fmt::format("duplicate key \"{}\"", text)};
      }
      level.key = text;
      level.has_key = true;
      return;
    }
    put(std::move(value));
  }
  void put(json value) {
    if (stack_.empty()) {
      root_ = std::move(value);
      return;
    }
    auto& level = stack_.back();
    if (level.value.is_array()) {
      level.value.push_back(std::move(value));
    } else {
      level.value[level.key] = std::move(value);
      level.has_key = false;
    }
  }

  std::vector<Level> stack_;
  json root_;
};

// YAML 1.1 readers (PyYAML, Go's) do not read these as strings: times, base-60 numbers, "yes". An
// editor that writes such a file back would change the value.
bool old_readers_agree(std::string_view text) {
  for (const auto* word : {"yes", "no", "on", "off", "y", "n"}) {
    if (text.size() == std::string_view(word).size() &&
        std::equal(text.begin(), text.end(), word, [](char a, char b) {
          return std::tolower(static_cast<unsigned char>(a)) == b;
        })) {
      return false;
    }
  }
  if (text.empty() || std::string_view("0123456789+-.").find(text.front()) == text.npos)
    return true;
  if (text.substr(0, 2) == "0x") return false;
  return text.find_first_of("-:_") == text.npos ||
         text.find_first_not_of("0123456789:-+.TtZz_ ") != text.npos;
}

template <typename Json>
void emit(YAML::Emitter& out, const Json& value) {
  if (value.is_structured() && value.empty()) out << YAML::Flow;
  if (value.is_object()) {
    out << YAML::BeginMap;
    for (const auto& [key, item] : value.items()) {
      out << YAML::Key;
      emit(out, Json(key));
      out << YAML::Value;
      emit(out, item);
    }
    out << YAML::EndMap;
  } else if (value.is_array()) {
    out << YAML::BeginSeq;
    for (const auto& item : value) emit(out, item);
    out << YAML::EndSeq;
  } else if (value.is_string()) {
    const auto& text = value.template get_ref<const std::string&>();
    // Quote every text that would not be read back as this string.
    const bool plain = plain_value(text).is_string() && text.find('\n') == std::string::npos &&
                       old_readers_agree(text);
    if (!plain) out << YAML::DoubleQuoted;
    out << text;
  } else if (value.is_null()) {
    out << YAML::Null;
  } else if (value.is_boolean()) {
    out << value.template get<bool>();
  } else {
    out << value.dump();
  }
}

template <typename Json>
std::string document(const Json& value) {
  YAML::Emitter out;
  (void)out.SetNullFormat(YAML::LowerNull);
  emit(out, value);
  return std::string(out.c_str()) + "\n";
}

}  // namespace

Result<json> parse_yaml(std::string_view text, const std::string& name) {
  if (text.size() > kMaxBytes) {
    return fail(Errc::kTooLarge,
                fmt::format("{}: {} bytes, at most {}", name, text.size(), kMaxBytes));
  }
  if (const auto line = invalid_utf8(text)) {
    return fail(Errc::kInvalid, fmt::format("{}:{}: not UTF-8", name, *line));
  }
  if (const auto line = too_many_open(text)) {
    return fail(Errc::kInvalid, fmt::format("{}:{}: nested too deeply", name, *line));
  }
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    Builder builder;
    if (!parser.HandleNextDocument(builder)) {
      return fail(Errc::kInvalid, fmt::format("{}:1: is empty", name));
    }
    Builder second;
    if (parser.HandleNextDocument(second) && !second.take().is_null()) {
      return fail(Errc::kInvalid,
                  fmt::format("{}: has several documents; only one per file is allowed", name));
    }
    return builder.take();
  } catch (const Refused& e) {
    return fail(Errc::kInvalid, fmt::format("{}:{}: {}", name, e.line + 1, e.what));
  } catch (const YAML::Exception& e) {
    return fail(Errc::kInvalid, fmt::format("{}:{}: not YAML: {}", name, e.mark.line + 1, e.msg));
  }
}

std::string to_yaml(const json& value) { return document(value); }
std::string to_yaml(const nlohmann::ordered_json& value) { return document(value); }

}  // namespace cw::api
