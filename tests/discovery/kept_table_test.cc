// The table that outlives a replica: its last known input is on disk and is served until the store
// answers.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "api/fake/memory_store.h"
#include "base/fake/sim_loop.h"
#include "base/reach.h"
#include "base/state_file.h"
#include "discovery/coordinator.h"
#include "tests/discovery/dns_scene.h"

namespace cw::discovery {
namespace {

namespace fs = std::filesystem;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

class OnDisk : public testing::Test {
 protected:
  OnDisk() {
    std::string made = testing::TempDir() + "kept-XXXXXX";
    folder = ::mkdtemp(made.data());
    config.ns = "causeway-system";
    config.identity = "me";
    config.stale_drop = hours(24);
    config.derive = true;
    config.service = "causeway-dns";
    config.table_file = folder + "/names.json";
    fill();
  }
  ~OnDisk() override { fs::remove_all(folder); }

  void fill() {
    put_named<api::Namespace>({"", "db"});
    api::ClusterProperty id;
    id.meta.key.name = api::kClusterIdProperty;
    id.value = "east";
    store->put(id);
    api::Node node;
    node.meta.key.name = "n";
    node.pod_cidrs = {*Prefix::parse("10.1.0.0/16")};
    store->put(node);
    api::ClusterPeer peer;
    peer.meta.key.name = "west";
    peer.spec.cluster_id = "west";
    peer.spec.gateways = {{0, "k", {}}};
    peer.spec.imports = std::vector<api::ImportRule>{api::import_everything()};
    peer.status.connected = true;
    store->put(peer);
    api::RemoteExport remote;
    remote.meta.key = {"db", "pg.west"};
    remote.spec = *export_of("west", true, 1'700'000'000);
    endpoint(remote.spec, "10.2.0.5", "pg-0");
    store->put(remote);
    put_own();
    api::Service dns;
    dns.meta.key = {"causeway-system", "causeway-dns"};
    dns.spec.cluster_ips = {"10.96.0.53", "fd00:96::53"};
    store->put(dns);
  }
  // A ClusterSetIP export of this cluster. Its derived Service gets a virtual IP.
  void put_own() {
    api::Service service;
    service.meta.key = {"db", "web"};
    service.spec.cluster_ips = {"10.96.0.1"};
    service.spec.ports = {{"sql", "TCP", "", 5432, ""}};
    store->put(service);
    put_named<api::ServiceExport>({"db", "web"});
    put_named<api::ServiceExport>({"db", "broken"});  // without a Service
  }
  template <typename T>
  void put_named(const api::ObjectKey& key) {
    T object;
    object.meta.key = key;
    store->put(object);
  }
  // Sets the virtual IP as the API server does.
  void give_virtual_ip() {
    auto derived = store->must_get<api::Service>(derived_key({"db", "web"}));
    derived.spec.cluster_ips = {"10.96.7.7"};
    store->put(derived);
    loop.advance(seconds(60));
  }
  void start() {
    table.reset();
    clients.clear();
    coordinator = std::make_unique<Coordinator>(
        loop, *store, random, config,
        Outlet{[this](std::shared_ptr<const dns::Table> t) { table = std::move(t); },
               [this](const std::vector<Prefix>& own) { clients = own; }});
    loop.advance(seconds(3));
  }
  // Starts another replica while the store is away.
  void restart_without_store() {
    coordinator.reset();
    store = std::make_unique<api::MemoryStore>(loop, random);
    store->unavailable({Errc::kUnavailable, "down"});
    start();
  }
  Answer ask(const std::string& name, Type type) {
    Bytes out(65535);
    out.resize(dns::respond(*table, query_of(name + ".clusterset.local", type), {}, out, counters));
    return read_answer(out);
  }
  std::string why_not_ready() {
    std::string all;
    for (const auto& reason : coordinator->not_ready()) all += reason + "\n";
    return all;
  }
  // Makes the file look as if the store had last answered `before` ago.
  void age_file(Duration before) {
    const auto at = (loop.wall_now() - before).time_since_epoch() / seconds(1);
    const timespec both[2] = {{at, 0}, {at, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, config.table_file.c_str(), both, 0), 0);
  }

  std::string folder;
  SimLoop loop;
  SeededRandom random{1};
  std::unique_ptr<api::MemoryStore> store = std::make_unique<api::MemoryStore>(loop, random);
  Config config;
  std::unique_ptr<Coordinator> coordinator;
  std::shared_ptr<const dns::Table> table;
  std::vector<Prefix> clients;
  dns::Counters counters;
};

TEST_F(OnDisk, AReplicaThatStartsWithoutTheStoreServesWhatItLastKnew) {
  start();
  give_virtual_ip();
  EXPECT_FALSE(coordinator->kept().age());
  EXPECT_EQ(ask("web.db.svc", Type::kA).records, Strings{"10.96.7.7"});
  age_file(minutes(5));
  restart_without_store();
  ASSERT_NE(table, nullptr);
  EXPECT_EQ(ask("pg.db.svc", Type::kA).records, Strings{"10.2.0.5"});
  EXPECT_EQ(ask("pg-0.west.pg.db.svc", Type::kA).records, Strings{"10.2.0.5"});
  EXPECT_EQ(ask("web.db.svc", Type::kA).records, Strings{"10.96.7.7"});
  EXPECT_EQ(ask("none.db.svc", Type::kA).rcode, Rcode::kNxDomain);
  EXPECT_EQ(ask("ns.dns", Type::kA).records, Strings{"10.96.0.53"});
  EXPECT_NE(std::find(clients.begin(), clients.end(), *Prefix::parse("10.1.0.0/16")),
            clients.end());
  ASSERT_TRUE(coordinator->kept().age());
  EXPECT_GE(*coordinator->kept().age(), minutes(5));
  EXPECT_LT(*coordinator->kept().age(), minutes(6));
  EXPECT_NE(why_not_ready().find("served from the table on disk"), std::string::npos);
}

TEST_F(OnDisk, TheStoreTakesOverWhenItAnswers) {
  start();
  give_virtual_ip();
  restart_without_store();
  store = nullptr;
  coordinator.reset();
  store = std::make_unique<api::MemoryStore>(loop, random);
  fill();
  store->drop(api::Kind::kRemoteExport, {"db", "pg.west"});
  start();
  EXPECT_FALSE(coordinator->kept().age());
  EXPECT_EQ(ask("pg.db.svc", Type::kA).rcode, Rcode::kNxDomain);
  EXPECT_TRUE(coordinator->not_ready().empty()) << why_not_ready();
}

TEST_F(OnDisk, ATableThatIsTooOldIsNotServedAndThatIsSaid) {
  start();
  give_virtual_ip();
  age_file(hours(25));
  restart_without_store();
  EXPECT_EQ(table, nullptr);
  EXPECT_FALSE(coordinator->kept().age());
  EXPECT_NE(why_not_ready().find("s old"), std::string::npos) << why_not_ready();
}

TEST_F(OnDisk, ATableThatIsServedGrowsTooOld) {
  start();
  give_virtual_ip();
  age_file(hours(23));
  restart_without_store();
  EXPECT_TRUE(coordinator->kept().age());
  loop.advance(hours(2));
  EXPECT_FALSE(coordinator->kept().age());
  EXPECT_EQ(ask("pg.db.svc", Type::kA).rcode, Rcode::kServFail);
  EXPECT_NE(why_not_ready().find("SERVFAIL"), std::string::npos);
}

TEST_F(OnDisk, WithoutAFileThereAreNoNamesAndThatIsSaid) {
  restart_without_store();
  EXPECT_EQ(table, nullptr);
  EXPECT_NE(why_not_ready().find("no table on disk"), std::string::npos) << why_not_ready();
}

TEST_F(OnDisk, ADamagedFileIsRefusedWholeAndReplaced) {
  start();
  give_virtual_ip();
  const auto text = *read_state_file(config.table_file, kMostKnownBytes);
  ASSERT_TRUE(parse_last_known(text));
  for (std::size_t size = 0; size < text.size(); size += 7) {
    EXPECT_FALSE(parse_last_known(text.substr(0, size)));
  }
  EXPECT_FALSE(parse_last_known(text + "{}\n"));
  std::ofstream(config.table_file, std::ios::trunc) << text.substr(0, text.size() / 2);
  restart_without_store();
  EXPECT_EQ(table, nullptr);
  coordinator.reset();
  store = std::make_unique<api::MemoryStore>(loop, random);
  fill();
  start();
  loop.advance(seconds(60));
  EXPECT_TRUE(parse_last_known(*read_state_file(config.table_file, kMostKnownBytes)));
}

TEST_F(OnDisk, TheFileIsMarkedAsCurrentOnlyWhileTheStoreAnswers) {
  start();
  give_virtual_ip();
  const auto changed = [&] {
    struct stat status {};
    EXPECT_EQ(::stat(config.table_file.c_str(), &status), 0);
    return status.st_mtim.tv_sec;
  };
  age_file(hours(3));
  const auto old = changed();
  loop.advance(minutes(3));
  const auto marked = changed();
  EXPECT_GT(marked, old);
  store->unavailable({Errc::kUnavailable, "down"});
  loop.advance(minutes(1));
  age_file(hours(3));
  const auto before = changed();
  loop.advance(minutes(10));
  EXPECT_EQ(changed(), before);
  store->available();
  loop.advance(minutes(3));
  EXPECT_GT(changed(), before);
}

TEST_F(OnDisk, AFileThatCannotBeWrittenIsCountedAndNamesAreServed) {
  config.table_file = folder + "/not-a-folder/names.json";
  std::ofstream(folder + "/not-a-folder") << "x";
  start();
  loop.advance(seconds(60));
  EXPECT_GE(coordinator->table_file_errors(), 1U);
  EXPECT_EQ(ask("pg.db.svc", Type::kA).records, Strings{"10.2.0.5"});
}

// A cluster is lost while no API server answers: names follow the route agent of this host.
class Follows : public OnDisk {
 protected:
  Follows() {
    config.reach_file = folder + "/reach";
    api::RemoteExport north;
    north.meta.key = {"db", "pg.north"};
    north.spec = *export_of("north", true, 1'700'000'001);
    endpoint(north.spec, "10.3.0.5", "pg-0");
    store->put(north);
    auto peer = store->must_get<api::ClusterPeer>({"", "west"});
    peer.meta = {};
    peer.meta.key.name = "north";
    peer.spec.cluster_id = "north";
    store->put(peer);
  }
  void say(bool west, bool north) {
    ASSERT_TRUE(write_reach(config.reach_file, {loop.now(), {{"west", west}, {"north", north}}}));
    loop.advance(std::chrono::milliseconds(200));
  }
  Strings names() { return ask("pg.db.svc", Type::kA).records; }
  const Strings both{"10.2.0.5", "10.3.0.5"};
};

TEST_F(Follows, TheAgentOfTheHostWhileTheStoreIsAwayAndTheStoreOtherwise) {
  start();
  EXPECT_EQ(names(), both);
  say(false, true);
  EXPECT_EQ(names(), both) << "the store answers: the gateways' word counts";
  EXPECT_FALSE(coordinator->reach().used());
  store->unavailable({Errc::kUnavailable, "down"});
  loop.advance(seconds(1));
  say(false, true);
  EXPECT_EQ(names(), Strings{"10.3.0.5"});
  EXPECT_TRUE(coordinator->reach().used());
  say(true, false);
  EXPECT_EQ(names(), Strings{"10.2.0.5"});
  say(false, false);
  EXPECT_EQ(names(), both) << "all are away: a stale answer beats none";
  say(true, true);
  EXPECT_EQ(names(), both);
  say(false, true);
  store->available();
  loop.advance(seconds(2));
  EXPECT_EQ(names(), Strings{"10.3.0.5"}) << "the store's status is from before it was away";
  loop.advance(seconds(30));
  EXPECT_FALSE(coordinator->reach().used());
  EXPECT_EQ(names(), both);
}

TEST_F(Follows, ChangesMeanwhileDoNotMakeTheFileYoung) {
  start();
  give_virtual_ip();
  store->unavailable({Errc::kUnavailable, "down"});
  loop.advance(seconds(1));
  age_file(hours(1));
  say(false, true);
  loop.advance(minutes(2));
  EXPECT_EQ(names(), both) << "the agent has stopped writing";
  restart_without_store();
  EXPECT_GE(*coordinator->kept().age(), hours(1));
}

TEST_F(Follows, AlsoWithTheTableFromDisk) {
  start();
  give_virtual_ip();
  restart_without_store();
  EXPECT_EQ(names(), both);
  say(false, true);
  EXPECT_EQ(names(), Strings{"10.3.0.5"});
  say(true, true);
  EXPECT_EQ(names(), both);
}

TEST_F(Follows, NoFileThatIsOldOrThatOthersMayWrite) {
  start();
  store->unavailable({Errc::kUnavailable, "down"});
  loop.advance(seconds(1));
  say(false, true);
  EXPECT_EQ(names(), Strings{"10.3.0.5"});
  loop.advance(seconds(10));  // the agent is gone
  EXPECT_EQ(names(), both) << "as the gateways said last";
  EXPECT_FALSE(coordinator->reach().used());
  say(false, true);
  EXPECT_EQ(names(), Strings{"10.3.0.5"});
  ASSERT_EQ(::chmod(config.reach_file.c_str(), 0666), 0);
  loop.advance(seconds(1));
  EXPECT_EQ(names(), both);
}

TEST_F(OnDisk, TheNameServersAddressesAreThoseOfItsService) {
  start();
  EXPECT_EQ(ask("ns.dns", Type::kA).records, Strings{"10.96.0.53"});
  EXPECT_EQ(ask("ns.dns", Type::kAaaa).records, Strings{"fd00:96::53"});
  auto dns = store->must_get<api::Service>({"causeway-system", "causeway-dns"});
  dns.spec.cluster_ips = {"10.96.0.99"};
  store->put(dns);
  loop.advance(seconds(1));
  EXPECT_EQ(ask("ns.dns", Type::kA).records, Strings{"10.96.0.99"});
  config.server_addresses = {*IpAddress::parse("192.0.2.53")};
  start();
  EXPECT_EQ(ask("ns.dns", Type::kA).records, Strings{"192.0.2.53"});
}

}  // namespace
}  // namespace cw::discovery
