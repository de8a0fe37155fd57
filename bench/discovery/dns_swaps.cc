// Measures answers while the table of many Services is swapped. One client asks the real server
// over loopback, one question after the other, while another thread publishes tables.
//   dns_swaps [--services N] [--seconds S]     prints one JSON object
// The phases:
//   quiet   no swap
//   swaps   ready-made tables that differ in one Service, 100 per second
//   builds  a TableBuilder makes each table, 100 per second
//   fresh   no two tables share anything, 2 per second: as after a restart of the builder
#include <fmt/format.h>
#include <sys/socket.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <thread>

#include "base/error.h"
#include "discovery/dns/server.h"

namespace {

using namespace cw;
using namespace cw::discovery;
using Clock = std::chrono::steady_clock;

dns::TableService service(unsigned number, unsigned version) {
  auto record = std::make_shared<api::ExportRecord>();
  record->cluster = "west";
  record->service = {"bench", fmt::format("s{}", number)};
  record->headless = true;
  record->ports = {{"sql", "TCP", "", 5432, ""}};
  record->port_sets = {{{"sql", "TCP", "", 5432}}};
  for (unsigned i = 0; i < 5; ++i) {
    const auto at = number * 5 + i;
    record->endpoints.push_back(
        {{IpAddress::v4({static_cast<std::uint8_t>(10 + version % 100),
                         static_cast<std::uint8_t>(at >> 16U), static_cast<std::uint8_t>(at >> 8U),
                         static_cast<std::uint8_t>(at)})},
         fmt::format("pg-{}", i),
         "",
         true});
  }
  return {std::make_shared<MergedService>(merge({Claimant{record}})), {}, {}};
}

using TablePtr = std::shared_ptr<const dns::Table>;

TablePtr fresh_table(unsigned services, unsigned version) {
  dns::TableBuilder builder({});
  for (unsigned i = 0; i < services; ++i) builder.put(service(i, version));
  return builder.build(version);
}

std::vector<std::uint8_t> query(unsigned number) {
  std::vector<std::uint8_t> m = {0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
  const auto name = *dns::wire_name(fmt::format("s{}.bench.svc.clusterset.local", number));
  m.insert(m.end(), name.begin(), name.end());
  m.insert(m.end(), {0, 1, 0, 1});
  return m;
}

struct Span {
  Clock::time_point from, to;
  [[nodiscard]] double microseconds() const {
    return std::chrono::duration<double, std::micro>(to - from).count();
  }
};

// Asks until `stop`. Returns when each question was asked and answered.
std::vector<Span> ask(const Endpoint& server, unsigned services, const std::atomic<bool>& stop) {
  const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM, 0));
  const timeval limit{1, 0};
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  sockaddr_storage to{};
  const auto size = server.to_sockaddr(to);
  CW_CHECK(::connect(fd.get(), reinterpret_cast<sockaddr*>(&to), static_cast<socklen_t>(size)) ==
           0);
  std::vector<std::vector<std::uint8_t>> queries;
  for (unsigned i = 0; i < 1000; ++i) queries.push_back(query(i * 7919 % services));
  std::array<std::uint8_t, 1500> answer{};
  std::vector<Span> took;
  for (std::size_t i = 0; !stop; ++i) {
    const auto& one = queries[i % queries.size()];
    const auto begun = Clock::now();
    (void)!::send(fd.get(), one.data(), one.size(), 0);
    const auto n = ::recv(fd.get(), answer.data(), answer.size(), 0);
    took.push_back({begun, Clock::now()});
    CW_CHECK(n > 12 && (answer[3] & 15U) == 0);
  }
  return took;
}

struct Phase {
  std::string name;
  std::chrono::milliseconds pause;
  std::function<TablePtr(unsigned)> next;  // empty: no swaps
};

// Counts the answers of more than 1 ms that were under way when a table was published, and how many
// would be by chance.
std::pair<std::size_t, double> coincidences(const std::vector<Span>& slow,
                                            const std::vector<Span>& swaps, double phase_us) {
  std::size_t met = 0;
  double share = 0;
  for (const auto& answer : slow) {
    met += std::any_of(
               swaps.begin(), swaps.end(),
               [&](const Span& swap) { return swap.from <= answer.to && swap.to >= answer.from; })
               ? 1U
               : 0U;
    // A swap meets an answer if it begins while the answer is under way, or up to the answer's
    // length before.
    for (const auto& swap : swaps)
      share += (answer.microseconds() + swap.microseconds()) / phase_us;
  }
  return {met, std::min(share, static_cast<double>(slow.size()))};
}

std::string run(const Phase& phase, dns::Server& server, unsigned services, unsigned seconds) {
  std::atomic<bool> stop{false};
  std::vector<Span> answers;
  std::thread client([&] { answers = ask(server.bound().front(), services, stop); });
  const auto end = Clock::now() + std::chrono::seconds(seconds);
  std::vector<Span> swaps;
  for (; Clock::now() < end; std::this_thread::sleep_for(phase.pause)) {
    if (!phase.next) continue;
    auto table = phase.next(static_cast<unsigned>(swaps.size()));
    const auto begun = Clock::now();
    server.publish(std::move(table));
    swaps.push_back({begun, Clock::now()});
  }
  stop = true;
  client.join();
  std::vector<double> took;
  std::vector<Span> slow;
  for (const auto& answer : answers) {
    took.push_back(answer.microseconds());
    if (took.back() > 1000) slow.push_back(answer);
  }
  std::sort(took.begin(), took.end());
  const auto at = [&](double share) {
    return took[static_cast<std::size_t>(share * static_cast<double>(took.size() - 1))];
  };
  double longest = 0;
  for (const auto& swap : swaps) longest = std::max(longest, swap.microseconds());
  const auto [met, chance] = coincidences(slow, swaps, 1e6 * seconds);
  return fmt::format(
      "\"{}\": {{\"answers\": {}, \"swaps\": {}, \"p50_us\": {:.1f}, \"p99_us\": {:.1f}, "
      "\"p999_us\": {:.1f}, \"max_us\": {:.1f}, \"over_1ms\": {}, \"over_1ms_at_a_swap\": {}, "
      "\"by_chance\": {:.1f}, \"publish_max_us\": {:.1f}}}",
      phase.name, took.size(), swaps.size(), at(0.5), at(0.99), at(0.999), took.back(), slow.size(),
      met, chance, longest);
}

}  // namespace

int main(int argc, char** argv) {
  unsigned services = 10000;
  unsigned seconds = 5;
  CLI::App app{"Latency of DNS answers while tables are swapped"};
  app.add_option("--services", services);
  app.add_option("--seconds", seconds, "of each phase");
  CLI11_PARSE(app, argc, argv);

  dns::ResponseRateConfig rate;
  rate.exempt = {*Prefix::parse("127.0.0.0/8")};
  auto server = dns::Server::start({{{*IpAddress::parse("127.0.0.1"), 0}}, 1, {}, rate, 1});
  CW_CHECK(server);
  dns::TableBuilder builder({});
  for (unsigned i = 0; i < services; ++i) builder.put(service(i, 0));
  (*server)->publish(builder.build(1));
  std::vector<TablePtr> ready;
  for (unsigned i = 0; i < 100 * (seconds + 1); ++i) {
    builder.put(service(i % services, i));
    ready.push_back(builder.build(i));
  }
  const auto built = [&](unsigned i) {
    builder.put(service(i % services, i + 1));
    return builder.build(i);
  };
  std::vector<TablePtr> apart;
  for (unsigned i = 0; i < 2 * (seconds + 1); ++i) apart.push_back(fresh_table(services, i));
  using std::chrono::milliseconds;
  const std::vector<Phase> phases = {
      {"quiet", milliseconds(10), {}},
      {"swaps", milliseconds(10), [&](unsigned i) { return std::move(ready[i]); }},
      {"builds", milliseconds(10), built},
      {"fresh", milliseconds(500), [&](unsigned i) { return std::move(apart[i]); }}};
  std::string out;
  for (const auto& phase : phases) {
    if (!out.empty()) out += ", ";
    out += run(phase, **server, services, seconds);
  }
  fmt::print("{{{}}}\n", out);
  return 0;
}
