#include "api/mcs/export_book.h"

#include <gtest/gtest.h>

#include "base/fake/sim_loop.h"

namespace cw::api {
namespace {

// A cluster's objects, and the book that follows them.
struct World {
  ExportBook::Items<ServiceExport> exports;
  ExportBook::Items<Service> services;
  ExportBook::Items<EndpointSlice> slices;
  std::vector<Prefix> cidrs = {*Prefix::parse("10.0.0.0/8")};
  std::string cluster = "east";
  ExportBook book;

  void put_export(const std::string& name) {
    ServiceExport object;
    object.meta.key = {"shop", name};
    exports[object.meta.key] = std::make_shared<const ServiceExport>(object);
  }
  void put_service(const std::string& name, std::uint16_t port = 80) {
    Service object;
    object.meta.key = {"shop", name};
    object.spec.ports = {{"web", "TCP", "", port, ""}};
    services[object.meta.key] = std::make_shared<const Service>(object);
  }
  void put_slice(const std::string& slice, const std::string& service, std::string_view address) {
    EndpointSlice object;
    object.meta.key = {"shop", slice};
    object.meta.labels[std::string(kServiceNameLabel)] = service;
    object.endpoints = {{{*IpAddress::parse(address)}, "", "", "", true}};
    slices[object.meta.key] = std::make_shared<const EndpointSlice>(object);
  }
  // The changes of update(): "+web" is new or changed, "-web" is gone.
  std::string update() {
    std::string text;
    for (const auto& change : book.update(cluster, exports, services, slices, cidrs)) {
      text += (text.empty() ? "" : " ") + std::string(change.record == nullptr ? "-" : "+") +
              change.service.name;
    }
    return text;
  }
  [[nodiscard]] const ExportBook::Entry& entry(const std::string& name) const {
    return book.entries().at({"shop", name});
  }
};

TEST(ExportBook, ReportsNewChangedAndRemovedExports) {
  World world;
  world.put_export("web");
  world.put_service("web");
  world.put_service("unexported");
  world.put_slice("web-1", "web", "10.0.0.1");
  EXPECT_EQ(world.update(), "+web");
  EXPECT_EQ(world.update(), "");
  world.put_slice("web-2", "web", "10.0.0.2");
  EXPECT_EQ(world.update(), "+web");
  EXPECT_EQ(world.entry("web").record->endpoints.size(), 2U);
  world.slices.erase({"shop", "web-1"});
  EXPECT_EQ(world.update(), "+web");
  EXPECT_EQ(world.entry("web").record->endpoints.size(), 1U);
  world.exports.clear();
  EXPECT_EQ(world.update(), "-web");
  EXPECT_TRUE(world.book.entries().empty());
}

TEST(ExportBook, ANewVersionThatSaysTheSameIsNoChange) {
  World world;
  world.put_export("web");
  world.put_service("web");
  world.put_slice("web-1", "web", "10.0.0.1");
  EXPECT_EQ(world.update(), "+web");
  world.put_slice("web-1", "web", "10.0.0.1");
  world.put_service("web");
  EXPECT_EQ(world.update(), "");
}

TEST(ExportBook, Item4_AnExportBeforeItsServiceHeals) {
  World world;
  world.put_export("web");
  EXPECT_EQ(world.update(), "");
  EXPECT_EQ(world.entry("web").valid.reason, "NoService");
  world.put_service("web");
  EXPECT_EQ(world.update(), "+web");
  EXPECT_EQ(world.entry("web").valid.reason, "Valid");
  world.services.clear();
  EXPECT_EQ(world.update(), "-web");
  EXPECT_EQ(world.entry("web").valid.reason, "NoService");
}

TEST(ExportBook, AnUnreadableObjectIsReportedAndHeals) {
  World world;
  world.put_export("web");
  world.book.note_unreadable_service({"shop", "web"}, "spec.ports: want a list");
  world.book.note_unreadable_slice({"shop", "web-1"}, {"shop", "web"}, "endpoints: want a list");
  EXPECT_EQ(world.update(), "");
  EXPECT_EQ(world.entry("web").valid.reason, "UnreadableService");
  world.put_service("web");
  world.book.note_unreadable_service({"shop", "web"}, "");
  EXPECT_EQ(world.update(), "+web");
  EXPECT_EQ(world.entry("web").valid.reason, "Valid");
  ASSERT_TRUE(world.entry("web").lacking);
  EXPECT_EQ(world.entry("web").lacking->reason, "Unreadable");
  EXPECT_NE(world.entry("web").lacking->message.find("web-1: endpoints: want a list"),
            std::string::npos);
  world.book.note_unreadable_slice({"shop", "web-1"}, {}, "");
  EXPECT_EQ(world.update(), "");
  EXPECT_FALSE(world.entry("web").lacking);
}

TEST(ExportBook, WithoutKeepingItTellsWhatEachChangeMeansNow) {
  World world;
  world.book.keep_nothing();
  world.put_export("web");
  EXPECT_EQ(world.update(), "-web");  // no Service yet
  world.put_service("web");
  EXPECT_EQ(world.update(), "+web");
  EXPECT_EQ(world.update(), "");
  world.put_service("web");
  EXPECT_EQ(world.update(), "+web");
  world.exports.clear();
  EXPECT_EQ(world.update(), "-web");
  EXPECT_TRUE(world.book.entries().empty());
}

TEST(ExportBook, ASliceMayMoveToAnotherService) {
  World world;
  world.put_export("a");
  world.put_export("b");
  world.put_service("a");
  world.put_service("b");
  world.put_slice("slice", "a", "10.0.0.1");
  EXPECT_EQ(world.update(), "+a +b");
  world.put_slice("slice", "b", "10.0.0.1");
  EXPECT_EQ(world.update(), "+a +b");
  EXPECT_TRUE(world.entry("a").record->endpoints.empty());
  EXPECT_EQ(world.entry("b").record->endpoints.size(), 1U);
}

TEST(ExportBook, Item6_OnlyNamespacesThatAreOpenedAreExported) {
  World world;
  world.book = ExportBook({"data"});
  world.put_service("web");
  world.put_export("web");
  EXPECT_EQ(world.update(), "");
  EXPECT_EQ(world.entry("web").valid.reason, "NamespaceNotOpen");
  EXPECT_EQ(world.entry("web").valid.message,
            "namespace shop is not open for export: add it to exportNamespaces");
  world.book = ExportBook({"data", "shop"});
  EXPECT_EQ(world.update(), "+web");
}

TEST(ExportBook, Item1_AServiceWithoutAnExportIsNotExported) {
  World world;
  world.put_service("web");
  EXPECT_EQ(world.update(), "");
  EXPECT_TRUE(world.book.entries().empty());
}

TEST(ExportBook, OtherPrefixesOrAnotherIdLookAtEverythingAgain) {
  World world;
  world.put_export("web");
  world.put_service("web");
  world.put_slice("web-1", "web", "10.0.0.1");
  EXPECT_EQ(world.update(), "+web");
  world.cidrs = {*Prefix::parse("192.0.2.0/24")};
  EXPECT_EQ(world.update(), "+web");
  EXPECT_TRUE(world.entry("web").record->endpoints.empty());
  world.cluster = "west";
  EXPECT_EQ(world.update(), "+web");
  EXPECT_EQ(world.entry("web").record->cluster, "west");
}

TEST(ExportBook, AlwaysAgreesWithABookThatStartsNow) {
  SeededRandom random(3);
  World world;
  for (int step = 0; step < 500; ++step) {
    const auto draw = random.next();
    const auto name = "s" + std::to_string(draw % 5);
    const auto address = "10.0.0." + std::to_string((draw >> 8U) % 4);
    const auto slice = "slice-" + std::to_string((draw >> 16U) % 6);
    switch ((draw >> 24U) % 6) {
      case 0:
        world.put_export(name);
        break;
      case 1:
        world.put_service(name, static_cast<std::uint16_t>(1 + (draw >> 8U) % 3));
        break;
      case 2:
        world.put_slice(slice, name, address);
        break;
      case 3:
        world.exports.erase({"shop", name});
        break;
      case 4:
        world.services.erase({"shop", name});
        break;
      default:
        world.slices.erase({"shop", slice});
        break;
    }
    (void)world.update();
    ExportBook fresh;
    (void)fresh.update(world.cluster, world.exports, world.services, world.slices, world.cidrs);
    ASSERT_EQ(fresh.entries().size(), world.book.entries().size()) << step;
    for (const auto& [key, entry] : fresh.entries()) {
      const auto& mine = world.book.entries().at(key);
      EXPECT_EQ(mine.valid, entry.valid);
      ASSERT_EQ(mine.record == nullptr, entry.record == nullptr);
      if (entry.record != nullptr) {
        EXPECT_EQ(*mine.record, *entry.record);
      }
    }
  }
}

}  // namespace
}  // namespace cw::api
