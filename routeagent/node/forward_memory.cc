#include "routeagent/node/forward_memory.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <vector>

#include "base/state_file.h"

namespace cw::routeagent {

namespace {

constexpr std::string_view kHead = "causeway-forwarding 1";
constexpr std::size_t kMostBytes = 1024;  // the text has five short lines at most

std::string path_of(const std::string& state_dir) { return state_dir + "/forwarding"; }

// A host without these files always has the same life.
std::string this_life() {
  std::string boot;
  std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), boot);
  std::error_code error;
  const auto space = std::filesystem::read_symlink("/proc/thread-self/ns/net", error).string();
  return boot + " " + space;
}

}  // namespace

std::string forward_memory_text(std::string_view life, const std::set<Family>& families) {
  auto text = fmt::format("{}\nlife {}\n", kHead, life);
  for (const auto family : families) text += family == Family::kV4 ? "IPv4\n" : "IPv6\n";
  return text + "end\n";
}

Result<std::set<Family>> parse_forward_memory(std::string_view text, std::string_view life) {
  std::vector<std::string_view> lines;
  for (auto end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  if (lines.size() < 3 || lines[0] != kHead || !lines[1].starts_with("life ") ||
      lines.back() != "end" || !text.empty()) {
    return fail(Errc::kInvalid, "not a record of this version");
  }
  std::set<Family> families;
  for (std::size_t i = 2; i + 1 < lines.size(); ++i) {
    if (lines[i] != "IPv4" && lines[i] != "IPv6") return fail(Errc::kInvalid, "want IPv4 or IPv6");
    families.insert(lines[i] == "IPv4" ? Family::kV4 : Family::kV6);
  }
  return lines[1].substr(5) == life ? families : std::set<Family>{};
}

ForwardMemory forward_memory(const std::string& state_dir) {
  const auto path = path_of(state_dir);
  ForwardMemory memory;
  const auto text = read_state_file(path, kMostBytes);
  if (text) {
    memory.before = parse_forward_memory(*text, this_life());
  } else if (text.error().code != Errc::kNotFound) {
    memory.before = fail(text.error());
  }
  if (!memory.before) {
    memory.before =
        fail(memory.before.error().context(path + " (remove the file if it is broken)"));
  }
  memory.write = [path](const std::set<Family>& families) {
    return write_state_file(path, forward_memory_text(this_life(), families));
  };
  return memory;
}

Result<> remove_forward_memory(const std::string& state_dir) {
  return remove_state_file(path_of(state_dir));
}

}  // namespace cw::routeagent
