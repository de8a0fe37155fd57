"""From a ServiceExport in one cluster to a name and a connection in the other."""

import time

import pytest

from fabric import objects
from fabric.dns import ask
from fabric.services import export, make_service, remove_service, share, unexport
from fabric.traffic import TCP_PORT, transfer
from fabric.wait import wait_until

ZONE = "svc.clusterset.local"
PORTS = {"echo": TCP_PORT}


def resolves_to(site, name, kind, expected):
    return sorted(ask(site.pod.machine, site.causeway.dns, name, kind).data(kind)) == \
        sorted(expected)


@pytest.fixture
def shop(east, west):
    """The Service shop/web of east, behind two pods, exported; removed after the scenario."""
    pods = {"web-0": east.worker_pods[0], "web-1": east.gateway_pods[0]}
    make_service(east.cluster, "shop", "web", PORTS, pods)
    export(east.cluster, "shop", "web")
    yield f"web.shop.{ZONE}", pods
    remove_service(east.cluster, "shop", "web")
    wait_until(lambda: ask(west.pod.machine, west.causeway.dns, f"web.shop.{ZONE}").status ==
               "NXDOMAIN", 15, "the name is gone after the scenario")


@pytest.fixture
def database(east, west):
    """The headless Service data/db of east with the pods db-0 and db-1, exported."""
    pods = {"db-0": east.worker_pods[0], "db-1": east.gateway_pods[1]}
    make_service(east.cluster, "data", "db", PORTS, pods, headless=True)
    export(east.cluster, "data", "db")
    yield f"db.data.{ZONE}", pods
    remove_service(east.cluster, "data", "db")
    wait_until(lambda: ask(west.pod.machine, west.causeway.dns, f"db.data.{ZONE}").status ==
               "NXDOMAIN", 15, "the name is gone after the scenario")


def test_an_exported_name_resolves_and_connects(shop, west):
    name, pods = shop
    wait_until(lambda: resolves_to(west, name, "A", [p.ip for p in pods.values()]), 10,
               "A records in the other cluster")
    assert resolves_to(west, name, "AAAA", [p.ip6 for p in pods.values()])
    done = transfer(west.pod.machine, name, 20_000)  # through the pod's own resolver
    assert done.source in (west.pod.ip, west.pod.ip6)


def test_the_exporter_has_the_name_too(shop, east):
    name, pods = shop
    wait_until(lambda: resolves_to(east, name, "A", [p.ip for p in pods.values()]), 10,
               "A records in the exporting cluster")


def test_ports_are_found_by_srv(shop, database, west):
    name, _ = shop
    wait_until(lambda: ask(west.pod.machine, west.causeway.dns, f"_echo._tcp.{name}", "SRV")
               .data("SRV"), 10, "an SRV record of the ClusterSetIP Service")
    name, pods = database
    srv = wait_until(lambda: ask(west.pod.machine, west.causeway.dns, f"_echo._tcp.{name}", "SRV")
                     .data("SRV"), 10, "SRV records of the headless Service")
    assert [record.split()[2] for record in srv] == [str(TCP_PORT)] * len(pods)
    assert sorted(record.split()[3].rstrip(".") for record in srv) == sorted(
        f"{host}.east.{name}" for host in pods)


def test_each_pod_of_a_headless_service_has_a_name(database, west):
    name, pods = database
    for host, pod in pods.items():
        own = f"{host}.east.{name}"
        wait_until(lambda own=own, pod=pod: resolves_to(west, own, "A", [pod.ip]), 10,
                   f"{own} resolves")
        assert resolves_to(west, own, "AAAA", [pod.ip6])
        assert transfer(west.pod.machine, own, 20_000).source in (west.pod.ip, west.pod.ip6)
    assert resolves_to(west, name, "A", [p.ip for p in pods.values()])


def test_an_endpoint_that_is_not_ready_leaves_the_answer(shop, east, west):
    name, pods = shop
    wait_until(lambda: resolves_to(west, name, "A", [p.ip for p in pods.values()]), 10, "both")
    stored = east.store.get("EndpointSlice", "web-ipv4", "shop")
    stored["endpoints"][0]["conditions"]["ready"] = False
    east.store.put(stored)
    wait_until(lambda: resolves_to(west, name, "A", [pods["web-1"].ip]), 10, "only the ready one")


def test_unexport_takes_the_name_away(shop, east, west):
    name, _ = shop
    wait_until(lambda: ask(west.pod.machine, west.causeway.dns, name).data("A"), 10, "it resolves")
    unexport(east.cluster, "shop", "web")
    for site in (west, east):
        wait_until(lambda site=site: ask(site.pod.machine, site.causeway.dns, name).status ==
                   "NXDOMAIN", 10, f"the name is gone in {site.id}")


def test_a_service_that_is_not_exported_stays_private(east, west):
    make_service(east.cluster, "shop", "secret", PORTS, {"s-0": east.pod})
    make_service(east.cluster, "shop", "marker", PORTS, {"m-0": east.pod})
    export(east.cluster, "shop", "marker")
    wait_until(lambda: ask(west.pod.machine, west.causeway.dns, f"marker.shop.{ZONE}").data("A"),
               10, "a Service exported after it resolves")
    for site in (east, west):
        assert ask(site.pod.machine, site.causeway.dns, f"secret.shop.{ZONE}").status == "NXDOMAIN"
    for name in ("secret", "marker"):
        remove_service(east.cluster, "shop", name)


def test_an_export_without_a_service_says_so(east):
    export(east.cluster, "shop", "nothing")
    valid = wait_until(lambda: east.store.conditions("ServiceExport", "nothing", "shop").get(
        "Valid"), 10, "the condition Valid")
    assert valid["status"] == "False" and valid["message"]
    unexport(east.cluster, "shop", "nothing")


def test_negative_answers_are_the_right_ones(shop, west):
    name, _ = shop
    machine, dns = west.pod.machine, west.causeway.dns
    wait_until(lambda: ask(machine, dns, name).data("A"), 10, "the Service resolves")
    assert ask(machine, dns, f"none.shop.{ZONE}").status == "NXDOMAIN"
    nothing_of_this_type = ask(machine, dns, name, "MX")
    assert (nothing_of_this_type.status, nothing_of_this_type.records) == ("NOERROR", [])
    between = ask(machine, dns, f"shop.{ZONE}")  # an empty non-terminal: names exist below it
    assert (between.status, between.records) == ("NOERROR", [])
    assert ask(machine, dns, "example.org").status == "REFUSED"


def test_tcp_and_queries_without_edns_are_answered(shop, west):
    name, pods = shop
    expected = sorted(p.ip for p in pods.values())
    wait_until(lambda: resolves_to(west, name, "A", expected), 10, "the Service resolves")
    for options in ({"tcp": True}, {"edns": False}, {"tcp": True, "edns": False}):
        assert ask(west.pod.machine, west.causeway.dns, name, **options).data("A") == expected, \
            options


def test_both_clusters_may_export_the_same_name(shop, east, west):
    """MCS: one name, the endpoints of all clusters, once each has opened the name to the other."""
    name, pods = shop
    share("shop", "web", east.cluster, west.cluster)
    make_service(west.cluster, "shop", "web", PORTS, {"web-9": west.worker_pods[0]})
    export(west.cluster, "shop", "web")
    everyone = [p.ip for p in pods.values()] + [west.worker_pods[0].ip]
    for site in (east, west):
        wait_until(lambda site=site: resolves_to(site, name, "A", everyone), 10,
                   f"{site.id} answers with the endpoints of both")
    remove_service(west.cluster, "shop", "web")
    for site in (east, west):
        wait_until(lambda site=site: resolves_to(site, name, "A", [p.ip for p in pods.values()]),
                   10, f"{site.id} answers with east's alone again")


@pytest.fixture
def crowd(east, west):
    """The headless Service crowd/big of east: 5,000 endpoints in 50 slices, as Kubernetes cuts them."""
    east.store.put(objects.namespace("crowd"))
    west.store.put(objects.namespace("crowd"))
    net = east.pod.ip6.rsplit("::", 1)[0]
    address = {f"p-{n}": f"{net}:7::{n + 1:x}" for n in range(5000)}
    hosts = list(address)
    for part in range(50):
        slice_ = objects.endpoint_slice("crowd", "big", PORTS, [
            (address[host], host, True) for host in hosts[100 * part:100 * (part + 1)]], "IPv6")
        slice_["metadata"]["name"] = f"big-{part}"
        east.store.put(slice_)
    east.store.put(objects.service("crowd", "big", PORTS, "None", ["IPv6"]))
    export(east.cluster, "crowd", "big")
    yield f"big.crowd.{ZONE}", address
    remove_service(east.cluster, "crowd", "big")
    for part in range(50):
        east.store.remove("EndpointSlice", f"big-{part}", "crowd")
    wait_until(lambda: ask(west.pod.machine, west.causeway.dns, f"big.crowd.{ZONE}").status == "NXDOMAIN", 15,
               "the name is gone after the scenario")


def test_a_service_of_5000_endpoints(crowd, east, west, tell):
    """Every endpoint has a name in the other cluster. The set is cut to the size of a message, not refused."""
    name, address = crowd
    began = time.monotonic()
    for host in ("p-0", "p-2500", "p-4999"):
        wait_until(lambda host=host: resolves_to(west, f"{host}.east.{name}", "AAAA", [address[host]]), 20,
                   f"{host} has a name")
    tell(f"5,000 endpoints of one Service have names in the other cluster after {time.monotonic() - began:.1f} s")
    whole = set(address.values())
    over_tcp = ask(west.pod.machine, west.causeway.dns, name, "AAAA", tcp=True).data("AAAA")
    assert len(set(over_tcp)) == len(over_tcp) >= 2000 and set(over_tcp) <= whole
    over_udp = ask(west.pod.machine, west.causeway.dns, name, "AAAA", retry=False)
    assert over_udp.truncated
    assert 20 <= len(over_udp.data("AAAA")) and set(over_udp.data("AAAA")) <= whole
    retried = ask(west.pod.machine, west.causeway.dns, name, "AAAA")
    assert not retried.truncated and len(retried.data("AAAA")) == len(over_tcp)
    # One endpoint of the 5,000 is no longer ready.
    part = east.store.get("EndpointSlice", "big-49", "crowd")
    part["endpoints"][99]["conditions"]["ready"] = False
    east.store.put(part)
    wait_until(lambda: ask(west.pod.machine, west.causeway.dns, f"p-4999.east.{name}", "AAAA").status == "NXDOMAIN",
               10, "an endpoint that is not ready has no name")
