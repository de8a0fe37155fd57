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

// Reads the question's name at `at`. It has labels only, because a question has nothing to point
// back to. Dots and unprintable bytes inside labels become a byte that no name of the zone has, so
// they match no name.
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

// Skips a name that may be compressed (RFC 1035, 4.1.4). Each pointer must lead before the labels
// that it ends, so no chain of pointers is a loop. `plain`: the name has no pointer.
bool skip_name(std::span<const std::uint8_t> m, std::size_t& at, bool* plain = nullptr) {
  constexpr unsigned kMostSteps = 256;  // twice the labels that a name may have
  std::size_t here = at;
  std::size_t run = at;  // where the current labels began
  std::size_t wire = 0;
  std::size_t end = 0;  // the position after the first pointer
  for (unsigned step = 0; step < kMostSteps; ++step) {
    if (here >= m.size()) return false;
    const std::size_t length = m[here];
    if ((length & 0xc0U) == 0xc0U) {
      if (here + 2 > m.size()) return false;
      if (end == 0) end = here + 2;
      const auto to = get16(m, here) & 0x3fffU;
      if (to < kHeader || to >= run) return false;
      run = here = to;
      continue;
    }
    wire += length + 1;
    here += length + 1;
    if (length > 63 || wire > kMaxName || here > m.size()) return false;
    if (length != 0) continue;
    if (plain != nullptr) *plain = end == 0;
    at = end != 0 ? end : here;
    return true;
  }
  return false;
}

struct WireRecord {
  std::span<const std::uint8_t> owner;  // empty: compressed
  std::uint16_t type = 0;
  std::uint16_t klass = 0;
  std::span<const std::uint8_t> ttl;
  std::span<const std::uint8_t> rdata;
};

bool read_record(std::span<const std::uint8_t> m, std::size_t& at, WireRecord& record) {
  const auto start = at;
  bool plain = false;
  if (!skip_name(m, at, &plain) || at + 10 > m.size()) return false;
  record.owner = plain ? m.subspan(start, at - start) : std::span<const std::uint8_t>{};
  record.type = get16(m, at);
  record.klass = get16(m, at + 2);
  record.ttl = m.subspan(at + 4, 4);
  const std::size_t length = get16(m, at + 8);
  at += 10;
  if (at + length > m.size()) return false;
  record.rdata = m.subspan(at, length);
  at += length;
  return true;
}

// Unknown options are skipped, but each must be complete (RFC 6891, 6.1.2).
bool whole_options(std::span<const std::uint8_t> rdata) {
  while (!rdata.empty()) {
    if (rdata.size() < 4) return false;
    const std::size_t length = get16(rdata, 2);
    if (rdata.size() - 4 < length) return false;
    rdata = rdata.subspan(4 + length);
  }
  return true;
}

bool read_opt(const WireRecord& record, Query& query) {
  if (record.owner.size() != 1 || query.edns || !whole_options(record.rdata)) return false;
  query.edns = true;
  query.udp_size = std::max<std::uint16_t>(record.klass, kUdpPlain);
  query.edns_version = record.ttl[1];
  query.dnssec_ok = (record.ttl[2] & 0x80U) != 0;
  return true;
}

// RFC 8945, 4.2: class ANY, TTL 0, an uncompressed algorithm name, then fields of known sizes.
bool read_tsig(const WireRecord& record, Query& query) {
  constexpr std::uint16_t kAny = 255;
  std::size_t at = 0;
  bool plain = false;
  const auto& r = record.rdata;
  if (record.klass != kAny || get16(record.ttl, 0) != 0 || get16(record.ttl, 2) != 0) return false;
  if (!skip_name(r, at, &plain) || !plain || at + 16 > r.size()) return false;
  const std::size_t mac = get16(r, at + 8);
  if (at + 10 + mac + 6 > r.size()) return false;
  const auto rest = at + 10 + mac;  // original id, error, length of the other data
  if (rest + 6 + get16(r, rest + 4) != r.size()) return false;
  query.tsig = {record.owner, r.first(at), r.subspan(at, 8), get16(r, rest)};
  return true;
}

struct Counts {
  unsigned questions;
  unsigned before;  // answer and authority records
  unsigned additional;
};

// Reads everything after the questions. False: malformed, two OPTs, or a record after a TSIG.
bool read_records(std::span<const std::uint8_t> m, std::size_t at, const Counts& counts,
                  Query& query) {
  WireRecord record;
  for (unsigned i = 0; i < counts.before + counts.additional; ++i) {
    if (query.tsig || !read_record(m, at, record)) return false;
    if (i < counts.before) continue;
    const auto type = static_cast<Type>(record.type);
    if (type == Type::kOpt && !read_opt(record, query)) return false;
    if (type == Type::kTsig && !read_tsig(record, query)) return false;
  }
  return true;
}

// Reads the one question of a query.
bool read_question(std::span<const std::uint8_t> m, std::size_t& at, Query& query) {
  if (!read_name(m, at, query.name) || at + 4 > m.size()) {
    query.name.clear();
    return false;
  }
  query.type = get16(m, at);
  query.klass = get16(m, at + 2);
  at += 4;
  query.question = m.subspan(kHeader, at - kHeader);
  return true;
}

bool skip_questions(std::span<const std::uint8_t> m, std::size_t& at, unsigned count) {
  for (unsigned i = 0; i < count; ++i) {
    if (!skip_name(m, at) || at + 4 > m.size()) return false;
    at += 4;
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
  const unsigned answers = get16(m, 6);
  const unsigned authorities = get16(m, 8);
  const Counts counts{get16(m, 4), answers + authorities, get16(m, 10)};
  // An error is answered with an OPT if the message had one (RFC 6891, 6.1.1). So the records are
  // read even if the message is not answered. All opcodes so far have this layout.
  std::size_t at = kHeader;
  const bool one = query.opcode == 0 && counts.questions == 1;
  bool sound = one ? read_question(m, at, query) : skip_questions(m, at, counts.questions);
  sound = sound && read_records(m, at, counts, query);
  if (!sound) {
    query.edns = false;
    query.tsig.reset();
  }
  // The other header bits of another opcode may have another meaning, so none is copied.
  if (query.opcode != 0) return refuse(Rcode::kNotImp);
  query.recursion_desired = (m[2] & 1U) != 0;
  if (!one || !sound || answers != 0 || authorities > 1) return refuse(Rcode::kFormErr);
  // IXFR has an SOA in the authority section. It is refused in any case.
  if (authorities != 0) return refuse(Rcode::kRefused);
  if (query.edns && query.edns_version != 0) return refuse(Rcode::kBadVers);
  if (query.tsig) return refuse(Rcode::kNotAuth);
  return out;
}

ResponseWriter::ResponseWriter(const Query& query, std::span<std::uint8_t> out, std::size_t limit)
    : query_(query), out_(out), limit_(std::min(limit, out.size())), at_(kHeader) {
  const auto opt = query.edns ? kOptSize : 0;
  limit_ -= std::min(limit_, opt);
  std::memset(out.data(), 0, kHeader);
  std::copy(query.question.begin(), query.question.end(), out.begin() + kHeader);
  at_ += query.question.size();
}

void ResponseWriter::append(std::span<const std::uint8_t> records) {
  std::copy(records.begin(), records.end(), out_.begin() + static_cast<std::ptrdiff_t>(at_));
  at_ += records.size();
}

void ResponseWriter::append_owned(std::span<const std::uint8_t> records, std::size_t size,
                                  std::size_t owner) {
  const auto first = at_;
  append(records);
  for (auto at = first; at < at_; at += size) {
    put16(out_, at, static_cast<std::uint16_t>(0xc000U | owner));
  }
}

// Tells that the key is unknown (RFC 8945, 5.2.1 and 5.3.2). The answer itself is not signed.
void ResponseWriter::put_tsig(const Tsig& tsig) {
  constexpr std::uint16_t kBadKey = 17;
  append(tsig.key);
  const auto head = at_;
  std::memset(out_.data() + head, 0, 10);
  put16(out_, head, static_cast<std::uint16_t>(Type::kTsig));
  put16(out_, head + 2, 255);
  at_ += 10;
  append(tsig.algorithm);
  append(tsig.time);
  put16(out_, at_, 0);  // the size of the signature
  put16(out_, at_ + 2, tsig.original_id);
  put16(out_, at_ + 4, kBadKey);
  put16(out_, at_ + 6, 0);
  at_ += 8;
  put16(out_, head + 8, static_cast<std::uint16_t>(at_ - head - 10));
}

std::size_t ResponseWriter::finish(const Response& response) {
  const auto rcode = static_cast<unsigned>(response.rcode);
  constexpr std::size_t kMostTsig = 2 * kMaxName + 26;
  const bool signature = response.rcode == Rcode::kNotAuth && query_.tsig &&
                         !query_.tsig->key.empty() && at_ + kOptSize + kMostTsig <= out_.size();
  put16(out_, 0, query_.id);
  out_[2] = static_cast<std::uint8_t>(
      0x80U | (query_.opcode & 0x0fU) << 3U | (response.authoritative ? 4U : 0U) |
      (response.truncated ? 2U : 0U) | (query_.recursion_desired ? 1U : 0U));
  out_[3] = static_cast<std::uint8_t>(rcode & 0x0fU);
  put16(out_, 4, query_.question.empty() ? 0 : 1);
  put16(out_, 6, response.answers);
  put16(out_, 8, response.authorities);
  put16(out_, 10,
        static_cast<std::uint16_t>(response.additionals + (query_.edns ? 1 : 0) +
                                   (signature ? 1 : 0)));
  if (query_.edns) {
    std::memset(out_.data() + at_, 0, kOptSize);
    put16(out_, at_ + 1, static_cast<std::uint16_t>(Type::kOpt));
    put16(out_, at_ + 3, kUdpEdns);
    out_[at_ + 5] = static_cast<std::uint8_t>(rcode >> 4U);
    out_[at_ + 7] = query_.dnssec_ok ? 0x80 : 0;
    at_ += kOptSize;
  }
  if (signature) put_tsig(*query_.tsig);
  return at_;
}

std::size_t write_response(const Query& query, const Response& response,
                           std::span<std::uint8_t> out) {
  return ResponseWriter(query, out, out.size()).finish(response);
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
