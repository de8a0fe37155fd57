// Keeps one nft table as it is wanted. nft prints a table in another form than it was written. So
// the keeper remembers the listing after its write, and sees whether another program changed it.
#pragma once

#include <optional>
#include <string>

#include "netlink/kernel.h"
#include "netlink/nft_table.h"
#include "netlink/pass_report.h"

namespace cw::netlink {

class NftKeeper {
 public:
  enum class Outcome {
    kSame,     // it stands as wanted; nothing was done
    kApplied,  // it was written now
    kFailed,   // it could not be written: an older one stands
    kMissing,  // the same, and none stands
    kUnread,   // it is not known what stands
  };
  // One listing, and a transaction and a second listing where something differs. The transaction
  // has only the elements of sets if nothing else differs.
  Outcome keep(Kernel& kernel, const NftTable& wanted, PassReport& report);
  void forget() { *this = {}; }

 private:
  std::optional<NftTable> written_;
  std::string listing_;
};

// Removes the table if it is there.
void remove_nft(Kernel& kernel, const std::string& table, PassReport& report);

}  // namespace cw::netlink
