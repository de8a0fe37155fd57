#include "netlink/nft_keeper.h"

#include <optional>

namespace cw::netlink {

NftKeeper::Outcome NftKeeper::keep(Kernel& kernel, const NftTable& wanted, PassReport& report) {
  const auto before = kernel.dump_nft(wanted.name);
  if (!report.read(before, "list nft table " + wanted.name)) return Outcome::kUnread;
  if (written_ == wanted && *before == listing_ && !before->empty()) return Outcome::kSame;
  // A table that stands as it was written gets the elements that differ. nft may refuse them, for
  // instance because another program took the table away a moment ago: then the table is replaced.
  const auto change = written_ && *before == listing_ && !before->empty()
                          ? nft_change(*written_, wanted)
                          : std::nullopt;
  forget();
  const bool changed = change && kernel.apply_nft(*change);
  if (!changed &&
      !report.step(kernel.apply_nft(nft_text(wanted)), "apply nft table " + wanted.name)) {
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
