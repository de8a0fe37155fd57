// Parts of the DNS server's tests: a writer of queries, an independent reader of answers, a zone of
// a few Services, and a server with this zone on loopback sockets.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <stdexcept>
#include <thread>

#include "base/unique_fd.h"
#include "discovery/dns/server.h"

namespace cw::discovery {

using dns::Rcode;
using dns::Type;
using Bytes = std::vector<std::uint8_t>;

inline void put16(Bytes& out, unsigned value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8U));
  out.push_back(static_cast<std::uint8_t>(value));
}

inline Bytes query_of(std::string_view name, Type type, int udp_size = 0, unsigned flags = 0x0100,
                      unsigned klass = 1) {
  Bytes m;
  for (const auto value : {0x1234U, flags, 1U, 0U, 0U, udp_size != 0 ? 1U : 0U}) put16(m, value);
  while (!name.empty()) {
    const auto label = name.substr(0, name.find('.'));
    m.push_back(static_cast<std::uint8_t>(label.size()));
    m.insert(m.end(), label.begin(), label.end());
    name.remove_prefix(std::min(name.size(), label.size() + 1));
  }
  m.push_back(0);
  put16(m, static_cast<unsigned>(type));
  put16(m, klass);
  if (udp_size != 0) {
    m.push_back(0);
    for (const auto value : {41U, static_cast<unsigned>(udp_size), 0U, 0U, 0U}) put16(m, value);
  }
  return m;
}

struct Answer {
  Rcode rcode{};
  bool aa = false;
  bool tc = false;
  bool opt = false;
  std::size_t size = 0;
  std::vector<std::string> records;     // answer section, as text
  std::vector<std::string> authority;   // types
  std::vector<std::string> additional;  // "owner data", without the OPT, in the message's order
  Bytes question;
  std::vector<unsigned> ttls;  // of both sections
};

// An independent reader of the server's messages. A malformed one fails the test.
class Reader {
 public:
  explicit Reader(const Bytes& m) : m_(m) {}
  unsigned u16() {
    const unsigned v = static_cast<unsigned>(m_.at(at_)) << 8U | m_.at(at_ + 1);
    at_ += 2;
    return v;
  }
  std::string name(bool may_point = true) {
    std::string out;
    std::size_t back = 0;
    for (int jumps = 0;;) {
      const unsigned n = m_.at(at_++);
      if ((n & 0xc0U) == 0xc0U) {
        EXPECT_TRUE(may_point);
        EXPECT_LT(++jumps, 5);
        const auto to = (n & 0x3fU) << 8U | m_.at(at_++);
        if (back == 0) back = at_;
        at_ = to;
        continue;
      }
      if (n == 0) break;
      out.append(m_.begin() + static_cast<std::ptrdiff_t>(at_),
                 m_.begin() + static_cast<std::ptrdiff_t>(at_ + n));
      out += '.';
      at_ += n;
    }
    if (back != 0) at_ = back;
    return out;
  }
  std::string record(std::string* type_name = nullptr, bool* opt = nullptr) {
    owner_ = name();
    const auto type = static_cast<Type>(u16());
    (void)u16();
    ttl_ = u16() << 16U;
    ttl_ |= u16();
    const auto length = u16();
    const auto end = at_ + length;
    std::string text;
    char buffer[64] = {};
    switch (type) {
      case Type::kA:
        text = inet_ntop(AF_INET, &m_.at(at_), buffer, sizeof buffer);
        break;
      case Type::kAaaa:
        text = inet_ntop(AF_INET6, &m_.at(at_), buffer, sizeof buffer);
        break;
      case Type::kSrv: {
        at_ += 4;
        const auto port = u16();
        text = std::to_string(port) + " " + name(false);
        break;
      }
      case Type::kTxt:
        text.assign(m_.begin() + static_cast<std::ptrdiff_t>(at_) + 1,
                    m_.begin() + static_cast<std::ptrdiff_t>(end));
        break;
      case Type::kSoa:
        text = "SOA";
        break;
      case Type::kNs:
        text = name();
        break;
      case Type::kOpt:
        if (opt != nullptr) *opt = true;
        break;
      case Type::kTsig:
        text = "TSIG " + name(false);
        at_ += 12;  // time, fudge, an empty signature, the original id
        text += " " + std::to_string(u16());
        break;
      default:
        ADD_FAILURE() << "type " << static_cast<int>(type);
    }
    if (type_name != nullptr) *type_name = text;
    at_ = end;
    return text;
  }
  [[nodiscard]] std::size_t at() const { return at_; }
  [[nodiscard]] unsigned ttl() const { return ttl_; }  // of the last record
  [[nodiscard]] const std::string& owner() const { return owner_; }

 private:
  const Bytes& m_;
  std::size_t at_ = 0;
  unsigned ttl_ = 0;
  std::string owner_;
};

inline Answer read_whole_answer(const Bytes& m) {
  Answer a;
  Reader r(m);
  EXPECT_EQ(r.u16(), 0x1234U);
  const auto flags = r.u16();
  a.rcode = static_cast<Rcode>(flags & 15U);
  a.aa = (flags & 0x0400U) != 0;
  a.tc = (flags & 0x0200U) != 0;
  EXPECT_NE(flags & 0x8000U, 0U);
  EXPECT_EQ(flags & 0x0080U, 0U) << "RA";
  const auto questions = r.u16();
  const auto answers = r.u16();
  const auto authorities = r.u16();
  const auto additional = r.u16();
  const auto start = r.at();
  for (unsigned i = 0; i < questions; ++i) {
    (void)r.name(false);
    (void)r.u16();
    (void)r.u16();
  }
  a.question.assign(m.begin() + static_cast<std::ptrdiff_t>(start),
                    m.begin() + static_cast<std::ptrdiff_t>(r.at()));
  for (unsigned i = 0; i < answers + authorities; ++i) {
    (i < answers ? a.records : a.authority).push_back(r.record());
    a.ttls.push_back(r.ttl());
  }
  for (unsigned i = 0; i < additional; ++i) {
    bool opt = false;
    const auto data = r.record(nullptr, &opt);
    a.opt = a.opt || opt;
    if (!opt) a.additional.push_back(r.owner() + " " + data);
  }
  EXPECT_EQ(r.at(), m.size()) << "trailing bytes";
  std::sort(a.records.begin(), a.records.end());
  a.size = m.size();
  return a;
}

// A missing or incomplete answer fails the test, too.
inline Answer read_answer(const Bytes& m) {
  try {
    return read_whole_answer(m);
  } catch (const std::out_of_range&) {
    ADD_FAILURE() << (m.empty() ? "no answer came" : "the answer is cut off") << " (" << m.size()
                  << " bytes)";
    return {};
  }
}

inline std::shared_ptr<api::ExportRecord> export_of(const std::string& cluster, bool headless,
                                                    int created) {
  auto record = std::make_shared<api::ExportRecord>();
  record->cluster = cluster;
  record->service = {"db", headless ? "pg" : "web"};
  record->exported_at = WallTime(std::chrono::seconds(created));
  record->headless = headless;
  record->ports = {{"sql", "TCP", "", 5432, ""}};
  record->port_sets = {{{"sql", "TCP", "", 5433}}};
  return record;
}

inline void endpoint(api::ExportRecord& record, const char* address, const char* host,
                     bool ready = true) {
  record.endpoints.push_back({{*IpAddress::parse(address)}, host, "", ready});
}

// More endpoints than one datagram holds: 10.<second>.x.y, pg-0 and up. With `both` each also has
// fd00::x:y, as an endpoint of its own, as in slices of two families.
inline void many_endpoints(api::ExportRecord& record, std::uint8_t second, unsigned count,
                           bool both = false) {
  for (unsigned i = 0; i < count; ++i) {
    const auto high = static_cast<std::uint8_t>(i / 250);
    const auto low = static_cast<std::uint8_t>(i % 250);
    const auto host = "pg-" + std::to_string(i);
    record.endpoints.push_back({{IpAddress::v4({10, second, high, low})}, host, "", true});
    if (!both) continue;
    std::array<std::uint8_t, 16> bytes{0xfd};
    bytes[13] = high;
    bytes[15] = low;
    record.endpoints.push_back({{IpAddress::v6(bytes)}, host, "", true});
  }
}

class Zone : public testing::Test {
 protected:
  Zone() {
    auto east = export_of("east", true, 1);
    endpoint(*east, "10.1.0.5", "pg-0");
    endpoint(*east, "fd01::5", "pg-0");
    endpoint(*east, "10.1.0.6", "pg-1", false);
    auto west = export_of("west", true, 2);
    endpoint(*west, "10.2.0.5", "10-2-0-5");
    services.push_back(merge({Claimant{east}, Claimant{west}}));
    auto web = export_of("east", false, 1);
    endpoint(*web, "10.1.0.9", "w");
    services.push_back(merge({Claimant{web}}));
    auto empty = export_of("east", true, 1);
    empty->service.name = "empty";
    services.push_back(merge({Claimant{empty}}));
    build();
  }
  void build(const dns::TableConfig& config = {5, 2, {*IpAddress::parse("10.1.0.53")}}) {
    dns::TableBuilder tables(config);
    for (const auto& service : services) {
      tables.put({std::make_shared<MergedService>(service), stale, {}, local});
    }
    table = *tables.build(7);
  }
  Answer ask(const std::string& name, Type type, int udp_size = 0) {
    return send(query_of(name + ".clusterset.local", type, udp_size));
  }
  Answer send(const Bytes& query, bool tcp = false) { return send(query, {tcp, false, 0}); }
  Answer send(const Bytes& query, const dns::Asked& asked) {
    Bytes out(65535);
    const auto size = dns::respond(table, query, asked, out, counters);
    if (size == 0) return {};
    out.resize(size);
    return read_answer(out);
  }
  std::vector<MergedService> services;
  std::set<std::string> stale;
  std::string local = "east";
  dns::Table table;
  dns::Counters counters;
};

using Strings = std::vector<std::string>;

class Serving : public Zone {
 protected:
  Serving() { start({std::chrono::seconds(1), 8, 4}, {}); }
  void start(const dns::TcpLimits& tcp, const dns::ResponseRateConfig& rate,
             const char* listen = "127.0.0.1",
             const std::vector<Prefix>& allow_from = dns::loopback(), unsigned refusals = 50) {
    server.reset();
    // The kernel chooses a free UDP port. If another program has the same TCP port, choose again.
    const dns::ServerConfig config{
        {{*IpAddress::parse(listen), 0}}, 2, tcp, rate, 1, allow_from, refusals};
    auto started = dns::Server::start(config);
    for (int i = 0; i < 50 && !started; ++i) started = dns::Server::start(config);
    CW_CHECK(started);
    server = std::move(*started);
    server->publish(std::make_shared<dns::Table>(table));
  }
  // The answer to a query over UDP; empty if none came in time.
  static Bytes exchange(const UniqueFd& fd, const Bytes& message) {
    EXPECT_EQ(::send(fd.get(), message.data(), message.size(), 0),
              static_cast<ssize_t>(message.size()));
    Bytes out(2000);
    const auto n = ::recv(fd.get(), out.data(), out.size(), 0);
    out.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return out;
  }
  // A socket to the server, from `source` if given; receiving from it ends after `patience`.
  [[nodiscard]] UniqueFd connect(
      int type, const char* source = nullptr,
      std::chrono::milliseconds patience = std::chrono::seconds(3)) const {
    UniqueFd fd(::socket(AF_INET, type, 0));
    const timeval limit{patience.count() / 1000, patience.count() % 1000 * 1000};
    if (source != nullptr) {
      sockaddr_storage from{};
      const auto size = Endpoint{*IpAddress::parse(source), 0}.to_sockaddr(from);
      EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&from), static_cast<socklen_t>(size)),
                0);
    }
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    sockaddr_storage to{};
    const auto size = server->bound().front().to_sockaddr(to);
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&to), static_cast<socklen_t>(size)),
              0);
    return fd;
  }
  static void send_tcp(const UniqueFd& fd, const Bytes& message) {
    Bytes framed;
    put16(framed, static_cast<unsigned>(message.size()));
    framed.insert(framed.end(), message.begin(), message.end());
    ASSERT_EQ(::send(fd.get(), framed.data(), framed.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(framed.size()));
  }
  static Bytes receive_tcp(const UniqueFd& fd) {
    std::uint8_t length[2];
    if (::recv(fd.get(), length, 2, MSG_WAITALL) != 2) return {};
    Bytes out(static_cast<std::size_t>(length[0]) << 8U | length[1]);
    if (::recv(fd.get(), out.data(), out.size(), MSG_WAITALL) != static_cast<ssize_t>(out.size()))
      return {};
    return out;
  }
  std::unique_ptr<dns::Server> server;
  Bytes query = query_of("pg-0.east.pg.db.svc.clusterset.local", Type::kA);
};

}  // namespace cw::discovery
