#include "cli/corefile.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <regex>

namespace cw::cli {

namespace {

constexpr const char* kBegin = "# causeway: begin (removed when Causeway is uninstalled)\n";
constexpr const char* kEnd = "# causeway: end\n";

}  // namespace

std::string without_stub(const std::string& corefile) {
  const auto begin = corefile.find(kBegin);
  if (begin == std::string::npos) return corefile;
  const auto end = corefile.find(kEnd, begin);
  if (end == std::string::npos) return corefile;  // somebody edited it: not ours to guess
  auto rest = corefile;
  rest.erase(begin, end + std::char_traits<char>::length(kEnd) - begin);
  return rest;
}

Result<std::string> with_stub(const std::string& corefile, const std::vector<IpAddress>& servers) {
  auto text = without_stub(corefile);
  // A server block's keys stand at the start of a line: "clusterset.local:53 {".
  static const std::regex kOthers(R"((^|\n)[^#\s{}][^#\n{}]*clusterset\.local[^#\n{}]*\{|)"
                                  R"((^|\n)clusterset\.local[^#\n{}]*\{)");
  if (std::regex_search(text, kOthers)) {
    return fail(Errc::kExists, "the Corefile has a clusterset.local block already: left as it is");
  }
  // CoreDNS takes an IPv6 address in brackets with a port only, and refuses the whole file
  // otherwise.
  std::vector<std::string> addresses;
  addresses.reserve(servers.size());
  for (const auto& server : servers) addresses.push_back(server.to_string());
  if (!text.empty() && text.back() != '\n') text += '\n';
  text += fmt::format(
      "{}clusterset.local:53 {{\n    errors\n    cache 5 {{\n        denial 9984 1\n    }}\n    "
      "forward . {}\n}}\n{}",
      kBegin, fmt::join(addresses, " "), kEnd);
  return text;
}

}  // namespace cw::cli
