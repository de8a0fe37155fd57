// Brings ServiceImports and the conditions of ServiceExports in the store to what is wanted: diff
// against the caches, at most kInFlight writes at a time, a failed one again after a pause. Only
// the holder of the discovery Lease has one.
#pragma once

#include <map>
#include <set>

#include "api/store/informer.h"
#include "discovery/mcs/view.h"

namespace cw::discovery {

class ImportWriter {
 public:
  static constexpr std::size_t kInFlight = 32;

  ImportWriter(Loop& loop, api::Store& store, const api::Informer<api::ServiceImport>& imports,
               const api::Informer<api::ServiceExport>& exports)
      : loop_(loop), store_(store), imports_(imports), exports_(exports) {}

  // The whole wanted state; call again whenever it or a cache changed.
  void want(std::map<api::ObjectKey, api::ServiceImport> imports,
            std::map<api::ObjectKey, std::vector<api::Condition>> conditions);

 private:
  void pass();
  void write(api::Kind kind, const api::ObjectKey& key,
             const std::function<Handle(api::Store::WriteDone)>& start);
  bool fix_import(const api::ObjectKey& key, const api::ServiceImport& wanted);
  void fix_export(const api::ServiceExport& object, const std::vector<api::Condition>& wanted);
  void finish(api::Kind kind, const api::ObjectKey& key, const Error* error);

  Loop& loop_;
  api::Store& store_;
  const api::Informer<api::ServiceImport>& imports_;
  const api::Informer<api::ServiceExport>& exports_;
  std::map<api::ObjectKey, api::ServiceImport> wanted_imports_;
  std::map<api::ObjectKey, std::vector<api::Condition>> wanted_conditions_;
  std::map<std::pair<api::Kind, api::ObjectKey>, Handle> in_flight_;
  Handle retry_;
  Handle next_;
};

}  // namespace cw::discovery
