// This cluster's own exports: which are valid, what each exports, and which lack endpoints of their
// Service. Loop thread only.
#pragma once

#include <vector>

#include "api/mcs/export_book.h"
#include "discovery/mcs/view.h"
#include "discovery/sources.h"

namespace cw::discovery {

class Exports {
 public:
  // `namespaces`: those opened for export by an administrator. Empty: all.
  explicit Exports(std::vector<std::string> namespaces) : book_(std::move(namespaces)) {}

  // Evaluates the exports whose objects changed, and passes the results to `view`. Logs the exports
  // that newly lack endpoints.
  void update(const Changes& changes, const Sources& sources, ViewBook& view);
  [[nodiscard]] const api::ExportBook& book() const { return book_; }
  // The number of exports that lack endpoints of their Service.
  [[nodiscard]] std::size_t incomplete() const { return incomplete_.size(); }

 private:
  void record_slice(const api::ObjectKey& key, const Sources& sources);
  void log_incomplete();

  api::ExportBook book_;
  std::vector<Prefix> pods_;  // the prefixes that this cluster announces
  Keys incomplete_;           // already logged
};

}  // namespace cw::discovery
