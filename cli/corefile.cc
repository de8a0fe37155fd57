#include "cli/corefile.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <regex>

#include "cli/output/units.h"

namespace cw::cli {

namespace {

constexpr const char* kBegin = "# causeway: begin (removed when Causeway is uninstalled)\n";
constexpr const char* kEnd = "# causeway: end\n";

}  // namespace

std::string without_stub(const std::string& corefile) {
  const auto begin = corefile.find(kBegin);
  if (begin == std::string::npos) return corefile;
  const auto end = corefile.find(kEnd, begin);
  if (end == std::string::npos) return corefile;  // the end marker was edited away
  auto rest = corefile;
  rest.erase(begin, end + std::char_traits<char>::length(kEnd) - begin);
  return rest;
}

Result<std::string> with_stub(const std::string& corefile, const std::vector<IpAddress>& servers) {
  auto text = without_stub(corefile);
  // The keys of a server block stand at the start of a line: "clusterset.local:53 {".
  static const std::regex kOthers(R"((^|\n)[^#\s{}][^#\n{}]*clusterset\.local[^#\n{}]*\{|)"
                                  R"((^|\n)clusterset\.local[^#\n{}]*\{)");
  if (std::regex_search(text, kOthers)) {
    return fail(Errc::kExists,
                "the Corefile has another clusterset.local block already and was not changed");
  }
  // CoreDNS accepts brackets around an IPv6 address only together with a port. Otherwise it refuses
  // the whole file.
  if (!text.empty() && text.back() != '\n') text += '\n';
  text += fmt::format(
      "{}clusterset.local:53 {{\n    errors\n    cache 5 {{\n        denial 9984 1\n    }}\n    "
      "forward . {}\n}}\n{}",
      kBegin, joined(servers), kEnd);
  return text;
}

}  // namespace cw::cli
