// DNS messages (RFC 1035, EDNS RFC 6891, TSIG RFC 8945) for an authoritative server of a few record
// types: one question in, one response out. Accepts any bytes. No allocation per query.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace cw::discovery::dns {

enum class Type : std::uint16_t {
  kA = 1,
  kNs = 2,
  kSoa = 6,
  kTxt = 16,
  kAaaa = 28,
  kSrv = 33,
  kOpt = 41,
  kTsig = 250,
  kIxfr = 251,
  kAxfr = 252,
  kAny = 255,
};
enum class Rcode : std::uint8_t {
  kNoError = 0,
  kFormErr = 1,
  kServFail = 2,
  kNxDomain = 3,
  kNotImp = 4,
  kRefused = 5,
  kNotAuth = 9,
  kBadVers = 16,
};

inline constexpr std::size_t kMaxName = 255;     // bytes on the wire
inline constexpr std::size_t kUdpPlain = 512;    // without EDNS
inline constexpr std::uint16_t kUdpEdns = 1232;  // what we announce, and the most we send

// A dotted name in lower case without the final dot. "" is the root. Stored in place, so that
// queries do not allocate.
class QueryName {
 public:
  [[nodiscard]] std::string_view view() const { return {text_.data(), size_}; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  // The caller must stay below kMaxName. A name's text is always shorter than that.
  void push_back(char c) { text_[size_++] = c; }
  void clear() { size_ = 0; }

 private:
  std::array<char, kMaxName> text_;  // only the first size_ bytes are set
  std::size_t size_ = 0;
};

// The signature of a query. This server has no keys, so no signature is ever valid.
struct Tsig {
  std::span<const std::uint8_t> key;        // the key's name in wire form; empty: it was compressed
  std::span<const std::uint8_t> algorithm;  // the algorithm's name in wire form
  std::span<const std::uint8_t> time;       // time signed and fudge, 8 bytes
  std::uint16_t original_id = 0;
};

struct Query {
  std::uint16_t id = 0;
  std::uint8_t opcode = 0;
  bool recursion_desired = false;
  std::uint16_t type = 0;
  std::uint16_t klass = 0;
  std::span<const std::uint8_t> question;  // name, type and class as received; echoed byte by byte
  QueryName name;
  bool edns = false;
  bool dnssec_ok = false;
  std::uint8_t edns_version = 0;
  std::uint16_t udp_size = kUdpPlain;  // what the client accepts over UDP
  std::optional<Tsig> tsig;
};

// What to do with a received message: drop it silently, answer with an error, or answer it.
struct Parsed {
  bool drop = false;
  Rcode error = Rcode::kNoError;  // if not kNoError: answer with this
  Query query;
};
[[nodiscard]] Parsed parse_query(std::span<const std::uint8_t> message);

struct Response {
  Rcode rcode = Rcode::kNoError;
  bool authoritative = true;
  bool truncated = false;
  std::uint16_t answers = 0;
  std::uint16_t authorities = 0;
  std::uint16_t additionals = 0;  // not counting the OPT
};

// Writes a response: header, question, records in the order of their sections, OPT. The owner of a
// prepared record is a pointer to the question (0xc00c) or written out.
class ResponseWriter {
 public:
  // Uses at most `limit` bytes of `out`, which must have room for the header, the question and the
  // OPT (kUdpPlain bytes suffice).
  ResponseWriter(const Query& query, std::span<std::uint8_t> out, std::size_t limit);
  // The number of bytes that further records may take.
  [[nodiscard]] std::size_t room() const { return limit_ > at_ ? limit_ - at_ : 0; }
  // The position of the next record in the message.
  [[nodiscard]] std::size_t at() const { return at_; }
  // At most room() bytes.
  void append(std::span<const std::uint8_t> records);
  // The same for records of `size` bytes each. Their owner becomes a pointer to the name at `owner`
  // (below 0x4000) in this message.
  void append_owned(std::span<const std::uint8_t> records, std::size_t size, std::size_t owner);
  // Returns the size of the message.
  [[nodiscard]] std::size_t finish(const Response& response);

 private:
  void put_tsig(const Tsig& tsig);
  const Query& query_;
  std::span<std::uint8_t> out_;
  std::size_t limit_;
  std::size_t at_;
};
// A response without records.
[[nodiscard]] std::size_t write_response(const Query& query, const Response& response,
                                         std::span<std::uint8_t> out);

// --- building records ---

// "a.b" as wire labels, uncompressed. No value: a label is empty, or a label or the name is too
// long.
[[nodiscard]] std::optional<std::vector<std::uint8_t>> wire_name(std::string_view name);
// A record whose owner is the question's name.
[[nodiscard]] std::vector<std::uint8_t> record(Type type, std::uint32_t ttl,
                                               std::span<const std::uint8_t> rdata);
// A record whose owner is written out.
[[nodiscard]] std::vector<std::uint8_t> record_of(std::span<const std::uint8_t> owner, Type type,
                                                  std::uint32_t ttl,
                                                  std::span<const std::uint8_t> rdata);

}  // namespace cw::discovery::dns
