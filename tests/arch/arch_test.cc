// Tests the shape of the tree: which folder may include which, and the length of files. Third-party
// headers stay in .cc files. docs/architecture.md has the picture.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

const fs::path kRoot = CW_SOURCE_DIR;

const std::map<std::string, std::set<std::string>> kMayInclude = {
    {"base", {"base"}},
    {"api", {"api", "base"}},
    {"prefixes", {"prefixes", "api", "base"}},
    {"netlink", {"netlink", "base"}},
    {"tunnel", {"tunnel", "base"}},
    {"homing", {"homing", "tunnel", "base"}},
    {"daemon", {"daemon", "api", "base"}},
    {"gateway", {"gateway", "prefixes", "daemon", "api", "netlink", "homing", "tunnel", "base"}},
    {"routeagent",
     {"routeagent", "prefixes", "daemon", "api", "netlink", "homing", "tunnel", "base"}},
    {"discovery", {"discovery", "prefixes", "daemon", "api", "base"}},
    {"cli", {"cli", "prefixes", "api", "tunnel", "base"}},
};

struct Source {
  std::string folder;
  std::string name;
  bool header = false;
  std::vector<std::string> lines;
};

std::vector<Source> sources() {
  std::vector<Source> all;
  for (const auto& [folder, allowed] : kMayInclude) {
    for (const auto& entry : fs::recursive_directory_iterator(kRoot / folder)) {
      const auto extension = entry.path().extension();
      if (extension != ".h" && extension != ".cc") continue;
      Source source{folder, fs::relative(entry.path(), kRoot).string(), extension == ".h", {}};
      std::ifstream file(entry.path());
      for (std::string line; std::getline(file, line);) source.lines.push_back(line);
      all.push_back(std::move(source));
    }
  }
  return all;
}

// The text between the delimiters of an #include line; empty if it is no such line.
std::string included(const std::string& line, char open, char close) {
  if (line.rfind("#include", 0) != 0) return {};
  const auto from = line.find(open);
  const auto to = line.find(close, from + 1);
  return from == std::string::npos || to == std::string::npos
             ? ""
             : line.substr(from + 1, to - from - 1);
}

TEST(Architecture, IncludesPointOneWay) {
  for (const auto& source : sources()) {
    for (const auto& line : source.lines) {
      const auto path = included(line, '"', '"');
      const auto folder = path.substr(0, path.find('/'));
      if (kMayInclude.count(folder) == 0) continue;  // generated code
      EXPECT_EQ(kMayInclude.at(source.folder).count(folder), 1U) << source.name << ": " << line;
    }
  }
}

TEST(Architecture, FakesAreForTestsOnly) {
  for (const auto& source : sources()) {
    if (source.name.find("/fake/") != std::string::npos) continue;
    for (const auto& line : source.lines) {
      EXPECT_EQ(included(line, '"', '"').find("/fake/"), std::string::npos)
          << source.name << ": " << line;
    }
  }
}

TEST(Architecture, ThirdPartyHeadersStayInSources) {
  const std::vector<std::string> hidden = {"netlink/",    "libmnl/", "grpc",     "curl/",
                                           "yaml-cpp/",   "event2/", "openssl/", "spdlog/",
                                           "prometheus/", "google/"};
  for (const auto& source : sources()) {
    if (!source.header) continue;
    for (const auto& line : source.lines) {
      const auto path = included(line, '<', '>');
      for (const auto& prefix : hidden) {
        EXPECT_NE(path.rfind(prefix, 0), 0U) << source.name << ": " << line;
      }
    }
  }
}

// docs/protocol/kernel-state.md: the daemons compute the wanted state, one reconciler writes it.
TEST(Architecture, TheDaemonsDoNotWriteKernelStateThemselves) {
  for (const auto& source : sources()) {
    if (source.folder != "gateway" && source.folder != "routeagent") continue;
    for (const auto& line : source.lines) {
      for (const auto* call :
           {"replace_vxlan(", "set_link(", "replace_address(", "remove_address(",
            "replace_neighbour(", "replace_fdb(", "replace_nexthop(", "replace_route(",
            "remove_route(", "add_rule(", "remove_rule(", "apply_nft("}) {
        EXPECT_EQ(line.find(call), std::string::npos) << source.name << ": " << line;
      }
    }
  }
}

TEST(Architecture, FilesStaySmall) {
  for (const auto& source : sources()) {
    EXPECT_LE(source.lines.size(), 600U) << source.name << ": has it one purpose?";
  }
}

TEST(Architecture, EveryHeaderSaysWhatItIs) {
  for (const auto& source : sources()) {
    if (!source.header) continue;
    ASSERT_FALSE(source.lines.empty()) << source.name;
    EXPECT_EQ(source.lines.front().rfind("// ", 0), 0U) << source.name;
    EXPECT_NE(std::find(source.lines.begin(), source.lines.end(), "#pragma once"),
              source.lines.end())
        << source.name;
  }
}

}  // namespace
