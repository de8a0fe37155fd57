#include "tunnel/engine/allowed_ip_changes.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace cw::tunnel::engine {
namespace {

Prefix p(const std::string& text) { return *Prefix::parse(text); }

std::string text(const std::vector<uapi::AllowedIpEdit>& changes) {
  std::string all;
  for (const auto& change : changes) {
    all += (change.remove ? "-" : "+") + change.prefix.to_string() + " ";
  }
  return all;
}

TEST(AllowedIpChanges, AReplacementChangesOnlyWhatDiffers) {
  std::set<Prefix> has;
  for (int n = 0; n < 5000; ++n) has.insert(p(fmt::format("10.2.{}.{}/32", n / 250, n % 250)));
  uapi::PeerEdit edit;
  edit.replace_allowed_ips = true;
  for (const auto& prefix : has) edit.allowed_ips.push_back({prefix, false});
  EXPECT_EQ(text(allowed_ip_changes(has, edit)), "");
  edit.allowed_ips.erase(edit.allowed_ips.begin());
  edit.allowed_ips.push_back({p("10.3.0.0/16"), false});
  EXPECT_EQ(text(allowed_ip_changes(has, edit)), "+10.3.0.0/16 -10.2.0.0/32 ");
}

TEST(AllowedIpChanges, EditsCountInTheirOrder) {
  uapi::PeerEdit edit;
  edit.allowed_ips = {{p("10.1.0.0/16"), false}, {p("10.2.0.0/16"), true},
                      {p("10.1.0.0/16"), true},  {p("10.3.0.0/16"), true},
                      {p("10.3.0.0/16"), false}, {p("10.4.0.0/16"), false}};
  EXPECT_EQ(text(allowed_ip_changes({p("10.2.0.0/16"), p("10.3.0.0/16")}, edit)),
            "+10.4.0.0/16 -10.2.0.0/16 ");
}

}  // namespace
}  // namespace cw::tunnel::engine
