// One cluster's announcement as a stream brings it: whole at first, then as differences. Checks
// that each difference belongs to what came before, that all together stay within the limits of
// statement.h, and that each prefix has one owner. Pure; not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "gateway/feed/statement.h"

namespace cw::gateway {

// Adds `after`, which follows `before`. A whole one replaces it.
void merge(AnnouncedChange after, AnnouncedChange& before);
// The same with the announcement that the change is about.
void merge(AnnouncedChange change, Announcement& announcement);

class AnnouncedOwners {
 public:
  // The change as it is to be merged. It may name more nodes than were sent: a prefix that another
  // node had is taken from that node. kInvalid, kTooLarge: nothing has changed here, and only a
  // whole announcement is taken from now on.
  [[nodiscard]] Result<AnnouncedChange> take(AnnouncedChange change);
  // All of it.
  [[nodiscard]] AnnouncedChange whole() const;

 private:
  [[nodiscard]] Result<> check(const AnnouncedChange& change) const;
  void set(const std::string& node, const std::vector<Prefix>& prefixes, NodePrefixes& changed);

  AnnouncedChange last_;                  // its nodes are those of now
  std::map<Prefix, std::string> owners_;  // of all prefixes in last_
};

}  // namespace cw::gateway
