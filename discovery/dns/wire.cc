#include "discovery/dns/wire.h"

#include <algorithm>
#include <cstring>

namespace cw::discovery::dns {

namespace {

constexpr std::size_t kHeader = 12;
constexpr std::size_t kOptSize = 11;

std::uint16_t get16(std::span<const std::uint8_t> m, std::size_t at) {
  return static_cast<std::uint16_t>(m[at] << 8U | m[at + 1]);
}
void put16(std::span<std::uint8_t> m, std::size_t at, std::uint16_t value) {
  m[at] = static_cast<std::uint8_t>(value >> 8U);
  m[at + 1] = static_cast<std::uint8_t>(value);
}

char lower(std::uint8_t c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c); }

// Reads the question's name at `at`: labels only (a question has nothing to point back to). Dots
// and unprintable bytes inside labels become a byte no name of ours has, so they match nothing.
bool read_name(std::span<const std::uint8_t> m, std::size_t& at, QueryName& name) {
  std::size_t wire = 0;
  for (;;) {
    if (at >= m.size()) return false;
    const std::size_t length = m[at];
    ++at;
    wire += length + 1;
    if (length == 0) return wire <= kMaxName;
    if (length > 63 || wire > kMaxName || at + length > m.size()) return false;
    if (!name.empty()) name.push_back('.');
    for (std::size_t i = 0; i < length; ++i) {
      const auto c = m[at + i];
      name.push_back(c == '.' || c <= 0x20 || c >= 0x7f ? '\x01' : lower(c));
    }
    at += length;
  }
}

// Skips an owner name of the additional section, which may end in a pointer.
bool skip_name(std::span<const std::uint8_t> m, std::size_t& at) {
  for (std::size_t labels = 0; labels < 128 && at < m.size(); ++labels) {
    const std::size_t length = m[at];
    if ((length & 0xc0U) == 0xc0U) {
      at += 2;
      return at <= m.size();
    }
    if (length > 63) return false;
    at += length + 1;
    if (length == 0) return at <= m.size();
  }
  return false;
}

// The OPT record among the additional ones; false: malformed or more than one.
bool read_additional(std::span<const std::uint8_t> m, std::size_t at, std::uint16_t count,
                     Query& query) {
  for (unsigned i = 0; i < count; ++i) {
    const bool root = at < m.size() && m[at] == 0;
    if (!skip_name(m, at) || at + 10 > m.size()) return false;
    const auto type = get16(m, at);
    const std::size_t length = get16(m, at + 8);
    if (type == static_cast<std::uint16_t>(Type::kOpt)) {
      if (!root || query.edns) return false;
      query.edns = true;
      query.udp_size = std::max<std::uint16_t>(get16(m, at + 2), kUdpPlain);
      query.edns_version = m[at + 5];
      query.dnssec_ok = (m[at + 6] & 0x80U) != 0;
    }
    at += 10 + length;
    if (at > m.size()) return false;
  }
  return true;
}

}  // namespace

Parsed parse_query(std::span<const std::uint8_t> m) {
  Parsed out;
  auto& query = out.query;
  const auto refuse = [&out](Rcode rcode) {
    out.error = rcode;
    return out;
  };
  if (m.size() < kHeader || (m[2] & 0x80U) != 0) {  // too short, or an answer: no loops
    out.drop = true;
    return out;
  }
  query.id = get16(m, 0);
  query.opcode = (m[2] >> 3U) & 0x0fU;
  query.recursion_desired = (m[2] & 1U) != 0;
  if (query.opcode != 0) return refuse(Rcode::kNotImp);
  if (get16(m, 4) != 1 || get16(m, 6) != 0 || get16(m, 8) > 1) return refuse(Rcode::kFormErr);
  std::size_t at = kHeader;
  if (!read_name(m, at, query.name) || at + 4 > m.size()) {
    query.name.clear();
    return refuse(Rcode::kFormErr);
  }
  query.type = get16(m, at);
  query.klass = get16(m, at + 2);
  query.question = m.subspan(kHeader, at + 4 - kHeader);
  // IXFR brings an SOA in the authority section; it is refused whatever that says.
  if (get16(m, 8) != 0) return refuse(Rcode::kRefused);
  if (!read_additional(m, at + 4, get16(m, 10), query)) {
    query.edns = false;
    return refuse(Rcode::kFormErr);
  }
  if (query.edns && query.edns_version != 0) return refuse(Rcode::kBadVers);
  return out;
}

std::size_t overhead(const Query& query) {
  return kHeader + query.question.size() + (query.edns ? kOptSize : 0);
}

std::size_t write_response(const Query& query, const Response& response,
                           std::span<const std::span<const std::uint8_t>> records,
                           std::span<std::uint8_t> out) {
  std::memset(out.data(), 0, kHeader);
  put16(out, 0, query.id);
  const auto rcode = static_cast<unsigned>(response.rcode);
  out[2] = static_cast<std::uint8_t>(
      0x80U | (query.opcode & 0x0fU) << 3U | (response.authoritative ? 4U : 0U) |
      (response.truncated ? 2U : 0U) | (query.recursion_desired ? 1U : 0U));
  out[3] = static_cast<std::uint8_t>(rcode & 0x0fU);
  put16(out, 4, query.question.empty() ? 0 : 1);
  put16(out, 6, response.answers);
  put16(out, 8, response.authorities);
  put16(out, 10, query.edns ? 1 : 0);
  std::size_t at = kHeader;
  const auto append = [&](std::span<const std::uint8_t> bytes) {
    std::copy(bytes.begin(), bytes.end(), out.begin() + static_cast<std::ptrdiff_t>(at));
    at += bytes.size();
  };
  append(query.question);
  for (const auto& one : records) append(one);
  if (query.edns) {
    out[at] = 0;
    put16(out, at + 1, static_cast<std::uint16_t>(Type::kOpt));
    put16(out, at + 3, kUdpEdns);
    out[at + 5] = static_cast<std::uint8_t>(rcode >> 4U);
    out[at + 6] = 0;
    out[at + 7] = query.dnssec_ok ? 0x80 : 0;
    out[at + 8] = 0;
    put16(out, at + 9, 0);
    at += kOptSize;
  }
  return at;
}

std::optional<std::vector<std::uint8_t>> wire_name(std::string_view name) {
  std::vector<std::uint8_t> out;
  while (!name.empty()) {
    const auto dot = name.find('.');
    const auto label = name.substr(0, dot);
    if (label.empty() || label.size() > 63) return std::nullopt;
    out.push_back(static_cast<std::uint8_t>(label.size()));
    out.insert(out.end(), label.begin(), label.end());
    if (dot == std::string_view::npos) break;
    name.remove_prefix(dot + 1);
    if (name.empty()) return std::nullopt;
  }
  out.push_back(0);
  if (out.size() > kMaxName) return std::nullopt;
  return out;
}

std::vector<std::uint8_t> record_of(std::span<const std::uint8_t> owner, Type type,
                                    std::uint32_t ttl, std::span<const std::uint8_t> rdata) {
  std::vector<std::uint8_t> out(owner.begin(), owner.end());
  const auto at = out.size();
  out.resize(at + 10);
  put16(out, at, static_cast<std::uint16_t>(type));
  put16(out, at + 2, 1);  // IN
  put16(out, at + 4, static_cast<std::uint16_t>(ttl >> 16U));
  put16(out, at + 6, static_cast<std::uint16_t>(ttl));
  put16(out, at + 8, static_cast<std::uint16_t>(rdata.size()));
  out.insert(out.end(), rdata.begin(), rdata.end());
  return out;
}

std::vector<std::uint8_t> record(Type type, std::uint32_t ttl,
                                 std::span<const std::uint8_t> rdata) {
  constexpr std::array<std::uint8_t, 2> kQuestion = {0xc0, 0x0c};
  return record_of(kQuestion, type, ttl, rdata);
}

}  // namespace cw::discovery::dns
