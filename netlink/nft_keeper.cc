#include "netlink/nft_keeper.h"

namespace cw::netlink {

NftKeeper::Outcome NftKeeper::keep(Kernel& kernel, const NftTable& wanted, PassReport& report) {
  const auto before = kernel.dump_nft(wanted.name);
  if (!report.read(before, "list nft table " + wanted.name)) return Outcome::kUnread;
  if (written_ == wanted && *before == listing_ && !before->empty()) return Outcome::kSame;
  forget();
  if (!report.step(kernel.apply_nft(nft_text(wanted)), "apply nft table " + wanted.name)) {
    return before->empty() ? Outcome::kMissing : Outcome::kFailed;
  }
  if (auto after = kernel.dump_nft(wanted.name)) {
    written_ = wanted;
    listing_ = std::move(*after);
  }
  return Outcome::kApplied;
}

void remove_nft(Kernel& kernel, const std::string& table, PassReport& report) {
  const auto listing = kernel.dump_nft(table);
  if (!report.read(listing, "list nft table " + table) || listing->empty()) return;
  report.step(kernel.remove_nft(table), "remove nft table " + table);
}

}  // namespace cw::netlink
