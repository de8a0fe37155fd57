// Hostile input on the real server over loopback sockets. The server answers as the RFCs say or not
// at all, keeps its size, and serves other clients meanwhile.
#include <dirent.h>
#include <poll.h>

#include <fstream>

#include "tests/discovery/dns_scene.h"

namespace cw::discovery {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

int open_descriptors() {
  int count = 0;
  auto* folder = ::opendir("/proc/self/fd");
  while (::readdir(folder) != nullptr) ++count;
  ::closedir(folder);
  return count;
}

// The allowed growth of resident(), MiB. A sanitizer keeps freed memory for a while.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr double kGrowth = 400;
#else
constexpr double kGrowth = 16;
#endif

// Resident memory of this process, MiB.
double resident() {
  std::ifstream statm("/proc/self/statm");
  double total = 0;
  double pages = 0;
  statm >> total >> pages;
  return pages * static_cast<double>(::sysconf(_SC_PAGESIZE)) / (1 << 20);
}

const Bytes kOpt = {0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0};

Bytes with(Bytes message, const Bytes& tail, std::uint8_t additional) {
  message.insert(message.end(), tail.begin(), tail.end());
  message[11] = additional;
  return message;
}

// A header that promises one question, then `tail`.
Bytes raw_question(const Bytes& tail) {
  Bytes m = {0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0};
  m.insert(m.end(), tail.begin(), tail.end());
  return m;
}

struct Case {
  const char* name;
  Bytes message;
  int rcode;  // -1: no answer
};

std::vector<Case> malformed() {
  const auto good = query_of("pg.db.svc.clusterset.local", Type::kA);
  const auto changed = [&](std::size_t at, std::uint8_t value) {
    auto m = good;
    m[at] = value;
    return m;
  };
  auto foreign_opt = kOpt;
  foreign_opt.insert(foreign_opt.begin(), {1, 'x'});
  auto bad_version = kOpt;
  bad_version[6] = 1;
  auto cut_option = kOpt;
  cut_option[10] = 200;
  auto long_option = kOpt;
  long_option[10] = 5;
  long_option.insert(long_option.end(), {0, 3, 0, 2, 1});
  const Bytes a_record = {0, 1, 0, 1, 0, 0, 0, 0, 0, 0};
  const auto owned_by = [&](Bytes owner) {
    owner.insert(owner.end(), a_record.begin(), a_record.end());
    return with(good, owner, 1);
  };
  const auto here = static_cast<std::uint8_t>(good.size());
  Bytes soa = {0, 0, 6, 0, 1, 0, 0, 0, 0, 0, 0};
  auto ixfr = query_of("clusterset.local", Type::kIxfr);
  ixfr[9] = 1;
  ixfr.insert(ixfr.end(), soa.begin(), soa.end());
  auto twice = kOpt;
  twice.insert(twice.end(), kOpt.begin(), kOpt.end());
  Bytes endless;  // 256 labels of one byte
  for (int i = 0; i < 256; ++i) endless.insert(endless.end(), {1, 'a'});
  Bytes overlong = {64};
  overlong.resize(65, 'a');
  overlong.insert(overlong.end(), {0, 0, 1, 0, 1});
  Bytes cut = good;
  cut.resize(good.size() - 3);
  std::vector<Case> cases = {
      {"an answer", changed(2, 0x81), -1},
      {"an answer of another opcode", changed(2, 0xa8), -1},
      {"no question", changed(5, 0), 1},
      {"two questions", changed(5, 2), 1},
      {"255 questions", changed(5, 0xff), 1},
      {"an answer record in a query", changed(7, 1), 1},
      {"two authority records", changed(9, 2), 1},
      {"a name that points to itself", raw_question({0xc0, 0x0c, 0, 1, 0, 1}), 1},
      {"a name that points forward", raw_question({0xc0, 0x20, 0, 1, 0, 1}), 1},
      {"a label, then a loop", raw_question({1, 'a', 0xc0, 0x0c, 0, 1, 0, 1}), 1},
      {"a label of 64 bytes", raw_question(overlong), 1},
      {"a label of a reserved kind", raw_question({0x80, 'a', 0, 0, 1, 0, 1}), 1},
      {"a name of 512 bytes", raw_question(endless), 1},
      {"a name without an end", raw_question({3, 'a', 'b'}), 1},
      {"a question cut off", cut, 1},
      {"two OPTs", with(good, twice, 2), 1},
      {"an OPT that the root does not own", with(good, foreign_opt, 1), 1},
      {"an OPT of version 1", with(good, bad_version, 1), 16},
      {"an OPT option that is cut off", with(good, cut_option, 1), 1},
      {"an OPT option that is longer than the OPT", with(good, long_option, 1), 1},
      {"an additional record that is not there", with(good, {}, 1), 1},
      {"an owner that points to the question", owned_by({0xc0, 12}), 0},
      {"an owner that points to itself", owned_by({0xc0, here}), 1},
      {"an owner that points forward", owned_by({0xc0, static_cast<std::uint8_t>(here + 2)}), 1},
      {"an owner with a loop behind a label", owned_by({1, 'a', 0xc0, here}), 1},
      {"an owner that points into the header", owned_by({0xc0, 4}), 1},
      {"an owner that points behind the message", owned_by({0xff, 0xff}), 1},
      {"255 additional records", with(good, kOpt, 255), 1},
      {"AXFR", query_of("clusterset.local", Type::kAxfr), 5},
      {"IXFR", query_of("clusterset.local", Type::kIxfr), 5},
      {"IXFR with its SOA", ixfr, 5},
      {"an authority record that is not there", changed(9, 1), 1},
      {"class CH", query_of("version.bind", Type::kTxt, 0, 0, 3), 5},
      {"class ANY", query_of("clusterset.local", Type::kA, 0, 0, 255), 5},
      {"type ANY", query_of("pg.db.svc.clusterset.local", Type::kAny), 0},
  };
  for (std::size_t size = 0; size < 12; ++size) {
    cases.push_back({"less than a header",
                     Bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)), -1});
  }
  for (unsigned opcode = 1; opcode < 16; ++opcode) {
    cases.push_back({"another opcode", changed(2, static_cast<std::uint8_t>(opcode << 3U)), 4});
  }
  return cases;
}

int rcode_of(const Bytes& answer) {
  if (answer.size() < 12) return -1;
  const int low = answer[3] & 15;
  // The upper bits of BADVERS are in the OPT, which is last.
  return answer[11] == 0 ? low : low | answer[answer.size() - 6] << 4;
}

class Hostile : public Serving {
 protected:
  Hostile() { start({seconds(1), 32, 8}, {}); }
  ~Hostile() override {
    // After every test a client is served over both transports. A datagram may be lost behind the
    // rest of a flood.
    EXPECT_EQ(read_answer(asked_often("127.0.0.9")).records, Strings{"10.1.0.5"});
    EXPECT_TRUE(served_over_tcp());
  }
  // Asks as a resolver does, which tries again from another port. Empty: no attempt was answered.
  [[nodiscard]] Bytes asked_often(const char* source, milliseconds patience = seconds(1),
                                  int attempts = 10) {
    Bytes answer;
    for (int n = 0; n < attempts && answer.empty(); ++n) {
      answer = exchange(connect(SOCK_DGRAM, source, patience), query);
    }
    return answer;
  }
  [[nodiscard]] bool served_over_tcp() {
    const auto tcp = connect(SOCK_STREAM, "127.0.0.9");
    send_tcp(tcp, query);
    const auto got = receive_tcp(tcp);
    return !got.empty() && read_answer(got).records == Strings{"10.1.0.5"};
  }
};

TEST_F(Hostile, MalformedMessagesOverUdpGetTheirErrorOrNothing) {
  for (const auto& one : malformed()) {
    const auto udp = connect(SOCK_DGRAM, nullptr, milliseconds(one.rcode < 0 ? 30 : 3000));
    const auto answer = exchange(udp, one.message);
    EXPECT_EQ(rcode_of(answer), one.rcode) << one.name;
    EXPECT_LE(answer.size(), 512U) << one.name;
    if (one.rcode == 4) {
      EXPECT_EQ(answer.size(), 12U) << one.name;
    }
  }
}

TEST_F(Hostile, MalformedMessagesOverTcpGetTheirErrorOrAreCutOff) {
  for (const auto& one : malformed()) {
    const auto tcp = connect(SOCK_STREAM);
    send_tcp(tcp, one.message);
    const auto answer = receive_tcp(tcp);
    EXPECT_EQ(rcode_of(answer), one.rcode) << one.name;
    if (one.rcode < 0) continue;
    send_tcp(tcp, query);  // an error does not close
    EXPECT_EQ(read_answer(receive_tcp(tcp)).records, Strings{"10.1.0.5"}) << one.name;
  }
}

TEST_F(Hostile, LargeMessagesOverTcpAreReadAnsweredAndForgotten) {
  auto large = with(query, kOpt, 1);
  const auto padding = 65535 - large.size();
  large[large.size() - 2] = static_cast<std::uint8_t>(padding >> 8U);
  large[large.size() - 1] = static_cast<std::uint8_t>(padding);
  put16(large, 65001);  // an OPT with 64 KiB of an unknown option
  put16(large, static_cast<unsigned>(padding - 4));
  large.resize(65535);
  const double before = resident();
  for (int round = 0; round < 40; ++round) {
    const auto tcp = connect(SOCK_STREAM);
    send_tcp(tcp, large);
    const auto answer = read_answer(receive_tcp(tcp));
    EXPECT_EQ(answer.records, Strings{"10.1.0.5"});
    send_tcp(tcp, Bytes(65535, 0));  // QDCOUNT 0
    EXPECT_EQ(rcode_of(receive_tcp(tcp)), 1);
    send_tcp(tcp, Bytes(65535, 0xff));  // an answer: cut off
    EXPECT_TRUE(receive_tcp(tcp).empty());
  }
  EXPECT_LT(resident() - before, kGrowth);
}

TEST_F(Hostile, ClientsThatTrickleBytesAreClosedThoughTheyAreNeverIdle) {
  std::vector<UniqueFd> slow;
  for (int i = 0; i < 6; ++i) slow.push_back(connect(SOCK_STREAM));
  Bytes framed;
  put16(framed, 60000);
  framed.resize(2000, 7);
  const auto end = std::chrono::steady_clock::now() + seconds(8);
  std::size_t closed = 0;
  for (std::size_t i = 0; closed < slow.size() && std::chrono::steady_clock::now() < end; ++i) {
    closed = 0;
    for (const auto& fd : slow) {
      (void)::send(fd.get(), &framed[i % framed.size()], 1, MSG_NOSIGNAL | MSG_DONTWAIT);
      pollfd state{fd.get(), POLLRDHUP, 0};
      closed += ::poll(&state, 1, 0) == 1 ? 1U : 0U;
    }
    if (i == 3) {
      EXPECT_TRUE(served_over_tcp());  // meanwhile
    }
    std::this_thread::sleep_for(milliseconds(20));
  }
  EXPECT_EQ(closed, slow.size());
}

TEST_F(Hostile, ClientsThatTakeNoAnswersAreNotReadFromAndDoNotGrow) {
  const double before = resident();
  std::vector<UniqueFd> deaf;
  Bytes framed;
  for (int i = 0; i < 200; ++i) {
    put16(framed, static_cast<unsigned>(query.size()));
    framed.insert(framed.end(), query.begin(), query.end());
  }
  for (int i = 0; i < 8; ++i) {
    deaf.push_back(connect(SOCK_STREAM));
    const int small = 4096;
    (void)::setsockopt(deaf.back().get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  }
  std::size_t sent = 0;
  for (int round = 0; round < 2000; ++round) {
    for (const auto& fd : deaf) {
      const auto n = ::send(fd.get(), framed.data(), framed.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      sent += n > 0 ? static_cast<std::size_t>(n) : 0;
    }
  }
  EXPECT_GT(sent, 8U << 16U);
  EXPECT_TRUE(served_over_tcp());
  EXPECT_LT(resident() - before, kGrowth);
}

TEST_F(Hostile, SilentConnectionsStayWithinTheCapsWhoeverOpensThem) {
  const int before = open_descriptors();
  std::vector<UniqueFd> silent;
  for (int source = 20; source < 40;
       ++source) {  // 20 clients, twice the connections that one may have
    const auto from = "127.0.0." + std::to_string(source);
    for (int i = 0; i < 16; ++i) silent.push_back(connect(SOCK_STREAM, from.c_str()));
  }
  EXPECT_TRUE(served_over_tcp());  // the quietest connection made room
  // Our descriptors and the server's own: at most its limit.
  EXPECT_LE(open_descriptors() - before - static_cast<int>(silent.size()), 33);
  const auto end = std::chrono::steady_clock::now() + seconds(5);
  while (open_descriptors() - before > static_cast<int>(silent.size()) &&
         std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(milliseconds(20));
  }
  EXPECT_EQ(open_descriptors() - before, static_cast<int>(silent.size()));  // all timed out
}

TEST_F(Hostile, ConnectionsThatComeAndGoLeaveNothingBehind) {
  const int before = open_descriptors();
  const double memory = resident();
  for (int i = 0; i < 2000; ++i) {
    const auto tcp = connect(SOCK_STREAM);
    if (i % 3 == 0) (void)::send(tcp.get(), "\x00\x40xx", 4, MSG_NOSIGNAL);
    if (i % 3 == 1) {
      const linger reset{1, 0};
      (void)::setsockopt(tcp.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    }
  }
  const auto end = std::chrono::steady_clock::now() + seconds(5);
  while (open_descriptors() > before && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(milliseconds(20));
  }
  EXPECT_EQ(open_descriptors(), before);
  EXPECT_LT(resident() - memory, kGrowth);
}

// The flood is counted in queries, not in seconds, so the speed of this machine does not matter.
TEST_F(Hostile, AFloodFromOneSourceLeavesOthersServed) {
  start({}, {1000, 0, 2, 32, 64, {}});
  const double before = resident();
  constexpr int kQueries = 100'000;
  std::atomic<int> flooded{0};
  std::jthread flood([&](const std::stop_token& over) {
    const auto fd = connect(SOCK_DGRAM, "127.0.0.2");
    Bytes out(2000);
    for (std::size_t i = 0; !over.stop_requested(); ++i) {
      (void)::send(fd.get(), query.data(), query.size(), MSG_DONTWAIT);
      ++flooded;
      if (i % 16 == 0) (void)::recv(fd.get(), out.data(), out.size(), MSG_DONTWAIT);
    }
  });
  int unanswered = 0;
  const auto end = std::chrono::steady_clock::now() + seconds(90);
  for (int i = 0; (i < 200 || flooded < kQueries) && unanswered == 0; ++i) {
    if (std::chrono::steady_clock::now() >= end) break;
    unanswered += asked_often("127.0.0.3").empty() ? 1 : 0;
  }
  EXPECT_TRUE(served_over_tcp());
  flood = {};
  EXPECT_EQ(unanswered, 0);
  EXPECT_GE(flooded, kQueries) << "within 90 s";
  std::uint64_t dropped = 0;
  for (const auto& thread : server->threads()) dropped += thread->counters.rate_dropped.get();
  EXPECT_GT(dropped, 1000U);
  EXPECT_LT(resident() - before, kGrowth);
}

}  // namespace
}  // namespace cw::discovery
