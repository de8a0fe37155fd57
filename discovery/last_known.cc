#include "discovery/last_known.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "api/types/codec.h"

namespace cw::discovery {

namespace {

using nlohmann::json;

constexpr int kVersion = 1;
constexpr const char* kVersionKey = "causewayNames";

void append(std::string& out, const json& line) {
  out += line.dump(-1, ' ', true, json::error_handler_t::replace);
  out += '\n';
}

template <typename T>
std::size_t append_all(std::string& out, const Items<T>& items) {
  for (const auto& [key, object] : items) append(out, api::encode(*object));
  return items.size();
}

template <typename T>
Result<> read(const json& body, Items<T>& items) {
  auto object = api::decode<T>(body);
  if (!object) return fail(std::move(object.error()));
  auto key = object->meta.key;
  items[std::move(key)] = std::make_shared<const T>(std::move(*object));
  return {};
}

// A record of this cluster is stored as a RemoteExport of this cluster, which does not exist
// otherwise.
Result<> read_remote(const json& body, LastKnown& known) {
  auto object = api::decode<api::RemoteExport>(body);
  if (!object) return fail(std::move(object.error()));
  const auto shared = std::make_shared<const api::RemoteExport>(std::move(*object));
  if (shared->spec.cluster == known.cluster) {
    known.own[shared->spec.service] = RecordPtr(shared, &shared->spec);
  } else {
    known.remote[shared->meta.key] = shared;
  }
  return {};
}

Result<> read_line(const json& body, LastKnown& known) {
  const auto kind = body.find("kind");
  const auto is = [&](api::Kind wanted) {
    return kind != body.end() && kind->is_string() &&
           kind->get_ref<const std::string&>() == api::info(wanted).name;
  };
  if (is(api::Kind::kClusterPeer)) return read(body, known.peers);
  if (is(api::Kind::kRemoteExport)) return read_remote(body, known);
  if (is(api::Kind::kServiceExport)) return read(body, known.exports);
  if (is(api::Kind::kNode)) return read(body, known.nodes);
  if (is(api::Kind::kService)) return read(body, known.services);
  return fail(Errc::kInvalid, "a resource of another kind");
}

Result<> read_header(const json& body, LastKnown& known) {
  const auto version = body.find(kVersionKey);
  const auto cluster = body.find("cluster");
  const auto serial = body.find("serial");
  if (version == body.end() || !version->is_number_integer() || *version != kVersion) {
    return fail(Errc::kInvalid, "not a table of this version");
  }
  if (cluster == body.end() || !cluster->is_string() || serial == body.end() ||
      !serial->is_number_unsigned() || *serial > UINT32_MAX) {
    return fail(Errc::kInvalid, "the header is incomplete");
  }
  known.cluster = cluster->get<std::string>();
  if (known.cluster.empty()) return fail(Errc::kInvalid, "no cluster id");
  known.serial = serial->get<std::uint32_t>();
  return {};
}

}  // namespace

std::string last_known_text(const LastKnown& known) {
  std::string out;
  append(out, {{kVersionKey, kVersion}, {"cluster", known.cluster}, {"serial", known.serial}});
  auto count = append_all(out, known.peers) + append_all(out, known.remote) +
               append_all(out, known.exports) + append_all(out, known.nodes) +
               append_all(out, known.services);
  for (const auto& [service, record] : known.own) {
    api::RemoteExport object;
    object.meta.key = service;
    object.spec = *record;
    append(out, api::encode(object));
    ++count;
  }
  append(out, {{"end", count}});
  return out;
}

Result<LastKnown> parse_last_known(std::string_view text) {
  if (text.size() > kMostKnownBytes) return fail(Errc::kTooLarge, "over 256 MiB");
  LastKnown known;
  std::size_t number = 0;
  std::size_t count = 0;
  for (bool ended = false; !ended; ++number) {
    const auto size = text.find('\n');
    const auto wrong = [&](std::string_view what) {
      return fail(Errc::kInvalid, fmt::format("line {}: {}", number + 1, what));
    };
    if (size == std::string_view::npos) return wrong("the end is missing");
    const auto body = json::parse(text.substr(0, size), nullptr, false);
    text.remove_prefix(size + 1);
    if (!body.is_object()) return wrong("not a JSON object");
    if (number == 0) {
      if (auto ok = read_header(body, known); !ok) return wrong(ok.error().text);
    } else if (const auto end = body.find("end"); end != body.end()) {
      ended = true;
      if (!end->is_number_unsigned() || *end != count || !text.empty()) {
        return wrong("the end does not match the lines before it");
      }
    } else {
      if (auto ok = read_line(body, known); !ok) return wrong(ok.error().text);
      ++count;
    }
  }
  return known;
}

void fill(ViewBook& view, const LastKnown& known) {
  view.set_cluster(known.cluster);
  view.set_peers(known.peers);
  view.set_away(api::disconnected(known.peers));
  for (const auto& [key, object] : known.exports) view.set_exported(key, true);
  for (const auto& [service, record] : known.own) view.set_own(service, record);
  for (const auto& [key, object] : known.remote) view.set_remote(key, object);
}

}  // namespace cw::discovery
