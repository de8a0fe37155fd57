#include "api/fake/memory_store.h"

#include <fmt/format.h>

#include <utility>

namespace cw::api {

Result<std::shared_ptr<void>> MemoryBackend::lock() {
  if (failures_.empty()) return std::shared_ptr<void>();
  auto error = std::move(failures_.front());
  failures_.pop_front();
  return fail(std::move(error));
}

Result<std::optional<nlohmann::json>> MemoryBackend::read(Kind kind, const ObjectKey& key) {
  const auto found = objects_.find({kind, key});
  if (found == objects_.end()) return std::optional<nlohmann::json>();
  return std::optional<nlohmann::json>(found->second);
}

Result<> MemoryBackend::write(Kind kind, const ObjectKey& key, const nlohmann::json& body) {
  objects_[{kind, key}] = body;
  log_ += fmt::format("write {} {}\n", info(kind).name, key.to_string());
  return {};
}

Result<> MemoryBackend::erase(Kind kind, const ObjectKey& key) {
  objects_.erase({kind, key});
  log_ += fmt::format("erase {} {}\n", info(kind).name, key.to_string());
  return {};
}

std::string MemoryBackend::take_log() { return std::exchange(log_, {}); }

void MemoryStore::put_body(Kind kind, const ObjectKey& key, const nlohmann::json& body) {
  (void)write(kind, key, body);  // memory: cannot fail
  (void)take_log();
  observe(kind, key, body);
}

void MemoryStore::drop(Kind kind, const ObjectKey& key) {
  (void)erase(kind, key);  // as above
  (void)take_log();
  observe(kind, key, std::nullopt);
}

}  // namespace cw::api
