// Resources as files of one folder: ROOT/<plural>/<name>.yaml,
// ROOT/<plural>/<namespace>/<name>.yaml. Reading, atomic writing (temporary file, fsync, rename,
// fsync of the folder) and locking between processes (flock on ROOT/.lock). No watching:
// dir_store.h.
#pragma once

#include <filesystem>
#include <map>
#include <vector>

#include "api/store/local_store.h"

namespace cw::api {

class Files final : public Backend {
 public:
  explicit Files(std::filesystem::path root) : root_(std::move(root)) {}

  // Makes the folders and removes temporary files of writers that died.
  [[nodiscard]] Result<> set_up();
  [[nodiscard]] Result<std::shared_ptr<void>> lock() override;
  [[nodiscard]] Result<std::optional<nlohmann::json>> read(Kind kind,
                                                           const ObjectKey& key) override;
  [[nodiscard]] Result<> write(Kind kind, const ObjectKey& key,
                               const nlohmann::json& body) override;
  [[nodiscard]] Result<> erase(Kind kind, const ObjectKey& key) override;

  // All objects of a kind that have a file, broken or not.
  [[nodiscard]] Result<std::vector<ObjectKey>> list(Kind kind) const;
  [[nodiscard]] std::filesystem::path folder(Kind kind) const;
  [[nodiscard]] const std::filesystem::path& root() const { return root_; }

 private:
  [[nodiscard]] std::filesystem::path path_of(Kind kind, const ObjectKey& key) const;
  std::filesystem::path root_;
  std::uint64_t temporary_ = 0;
};

}  // namespace cw::api
