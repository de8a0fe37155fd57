"""A paired cluster turns against its peers. It exports their names, claims their networks and changes its
keys. One of its users floods the others' exports. It runs our own gateway on a store with false objects."""

import json

import pytest
import yaml

from fabric import objects
from fabric.ctl import ctl
from fabric.dns import ask
from fabric.services import export, make_service, share
from fabric.site import Site, join, wait_until_reached
from fabric.traffic import TCP_PORT, ping
from fabric.wait import stays_true, wait_until

PORTS = {"echo": TCP_PORT}
NAME = "pg.data.svc.clusterset.local"
KINDS = {4: "A", 6: "AAAA"}


def addresses(site, name=NAME, family=4):
    return ask(site.pod.machine, site.causeway.dns, name, KINDS[family]).data(KINDS[family])


def addresses_of(*pods, family=4):
    return sorted(pod.address(family) for pod in pods)


def condition(site, kind, key, name, ns=""):
    return site.store.conditions(kind, name, ns).get(key, {})


def rogue_export(west, ns="data", name="pg", headless=False):
    """An export that claims to be older than all others and demands all traffic for its cluster."""
    make_service(west.cluster, ns, name, PORTS, {"rogue-0": west.pod}, headless=headless)
    body = objects.service_export(ns, name)
    body["metadata"]["creationTimestamp"] = "1970-01-01T00:00:00Z"
    body["spec"] = {"exportedAnnotations": {"causeway.dev/failover": "west"},
                    "exportedLabels": {"owner": "west"}}
    west.store.put(body)


@pytest.fixture(scope="module")
def clusters(world):
    east, west, north = [Site(world, name, gateways=1) for name in ("east", "west", "north")]
    join(east, west, north)
    make_service(east.cluster, "data", "pg", PORTS, {"pg-0": east.pod}, headless=True)
    export(east.cluster, "data", "pg")
    make_service(east.cluster, "shop", "own", PORTS, {"own-0": east.pod})  # at 10.61.0.10
    for site in (east, north):
        wait_until(lambda site=site: addresses(site) == addresses_of(east.pod), 15,
                   f"{site.id} resolves east's export")
    rogue_export(west)
    wait_until(lambda: len(addresses(north)) == 2, 15, "north imports west's export of the name")
    return east, west, north


@pytest.mark.parametrize("family", [4, 6])
def test_a_peers_export_of_our_own_name_takes_no_client_away(clusters, family):
    """Before, the pods of east got the rogue's address beside their own."""
    east, west, _ = clusters
    wait_until(lambda: condition(east, "ServiceExport", "Shared", "pg", "data").get("reason")
               == "KeptOut", 10, "east's export says that west's is kept out")
    stays_true(lambda: addresses(east, family=family) == addresses_of(east.pod, family=family), 3,
               "east's name leads to east alone")
    found = east.store.get("ServiceImport", "pg", "data")
    assert found["spec"]["type"] == "Headless", "west's export does not shape the import"
    assert "owner" not in found["metadata"].get("labels", {})
    assert "causeway.dev/failover" not in found["metadata"].get("annotations", {})
    told = condition(east, "ClusterPeer", "ExportsImported", "west")
    assert told["status"] == "False" and "data/pg" in told["message"], told
    assert east.store.get("RemoteExport", "pg.west", "data")["spec"].get("endpoints") == [], \
        "nothing of the export is stored"
    said = ctl(east, "resolve", NAME).stdout
    assert "not imported" in said and "overLocal" in said, said


def test_an_annotation_of_a_peer_decides_nothing_in_a_cluster_that_does_not_follow_it(clusters):
    """Before, the export with the oldest date decided in every cluster which endpoints serve."""
    east, west, north = clusters
    found = north.store.get("ServiceImport", "pg", "data")
    assert found["spec"]["type"] == "Headless", "the export that north saw first is the older one"
    assert "causeway.dev/failover" not in found["metadata"].get("annotations", {})
    assert addresses(north) == addresses_of(east.pod, west.pod), "both are imported here by default"


def test_a_peer_is_imported_from_only_as_far_as_it_is_listed(clusters):
    east, west, north = clusters
    peer = north.store.get("ClusterPeer", "west")
    peer.pop("status")
    peer["spec"]["imports"] = [{"namespace": "shop"}]
    north.store.put(peer)
    wait_until(lambda: addresses(north) == addresses_of(east.pod), 10, "west's export is gone")
    wait_until(lambda: north.store.get("RemoteExport", "pg.west", "data") is None, 10,
               "and not stored")
    wait_until(lambda: "data/pg" in condition(north, "ClusterPeer", "ExportsImported", "west")
               .get("message", ""), 10, "the ClusterPeer names it")
    assert "does not list it" in ctl(north, "resolve", NAME).stdout
    del peer["spec"]["imports"]
    north.store.put(peer)
    wait_until(lambda: len(addresses(north)) == 2, 15, "without a list it is back")


def test_a_shared_name_keeps_the_own_clusters_rules_whatever_date_the_peer_claims(clusters):
    """The name is open to the peer. The peer serves its share and decides nothing else."""
    east, west, _ = clusters
    share("data", "pg", east.cluster)
    wait_until(lambda: addresses(east) == addresses_of(east.pod, west.pod), 15,
               "both serve the name in east")
    found = east.store.get("ServiceImport", "pg", "data")
    assert found["spec"]["type"] == "Headless", "1970 is not older than the pairing"
    assert "owner" not in found["metadata"].get("labels", {})
    assert "east, wins" in condition(east, "ServiceExport", "Conflict", "pg", "data")["message"]


NEVER = ["10.61.0.0/16", "169.254.169.254/32", "127.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4",
         "192.0.0.0/2", "0.0.0.0/0", "172.20.1.0/24", "fe80::/64", "ff00::/8", "::/0", "::1/128",
         "fd00:20:1::/64"]


@pytest.mark.parametrize("cidr", NEVER)
def test_pairing_refuses_prefixes_that_are_never_a_peers(clusters, cidr):
    """Before, all of these became routes of every node. (10.61.0.0/16 has east's Services.)"""
    east, west, _ = clusters
    offered = yaml.safe_load(ctl(west, "pair", "export").stdout)
    offered["spec"]["allowedCidrs"].append(cidr)
    done = ctl(east, "pair", "accept", "-", check=False, stdin=yaml.safe_dump(offered))
    assert done.returncode == 2, done
    assert f"cannot have {cidr}" in done.stderr, done.stderr
    assert cidr not in east.store.get("ClusterPeer", "west")["spec"]["allowedCidrs"]


@pytest.mark.parametrize("endpoint", ["127.0.0.1:53", "224.0.0.1:4500", "0.0.0.0:4500",
                                      "172.20.1.11:4500", "[::1]:4500", "[ff02::1]:4500"])
def test_pairing_refuses_endpoints_that_are_no_other_hosts(clusters, endpoint):
    east, west, _ = clusters
    offered = yaml.safe_load(ctl(west, "pair", "export").stdout)
    offered["spec"]["gateways"][0]["endpoints"] = [endpoint]
    done = ctl(east, "pair", "accept", "-", check=False, stdin=yaml.safe_dump(offered))
    assert done.returncode == 2 and endpoint in done.stderr, done


def test_a_changed_key_needs_an_administrator(clusters):
    """Before, `pair accept` took any key for a known cluster and said "is still a peer"."""
    east, west, north = clusters
    before = east.store.get("ClusterPeer", "west")
    right = ctl(west, "pair", "export")
    offered = yaml.safe_load(right.stdout)
    offered["spec"]["gateways"][0]["publicKey"] = "A" * 42 + "E="
    done = ctl(east, "pair", "accept", "-", check=False, stdin=yaml.safe_dump(offered))
    assert done.returncode == 2 and "--replace" in done.stderr, done
    shown = [line for line in right.stderr.splitlines() if "gateway west/0" in line]
    fingerprint = shown[0].split()[-1]
    assert f"was {fingerprint}, is now " in done.stderr, "both can be compared"
    assert east.store.get("ClusterPeer", "west")["spec"] == before["spec"]
    assert ctl(east, "pair", "accept", "-", stdin=right.stdout).returncode == 0, "the same key is fine"
    assert east.store.get("ClusterPeer", "west")["spec"].get("imports") == before["spec"].get("imports"), \
        "opened names are this cluster's own setting"


def test_an_offered_file_opens_nothing(clusters):
    east, west, north = clusters
    offered = yaml.safe_load(ctl(west, "pair", "export").stdout)
    offered["spec"]["imports"] = [{"namespace": "*", "service": "*", "overLocal": True}]
    done = ctl(north, "pair", "accept", "-", stdin=yaml.safe_dump(offered))
    assert "imports: every name that this cluster does not export itself" in done.stdout
    assert "imports" not in north.store.get("ClusterPeer", "west")["spec"]


def routes_of(node, prefix):
    family = "-6" if ":" in prefix else "-4"
    return node.machine.out("ip", family, "route", "show", "table", "7487", prefix).strip()


def test_claims_that_are_never_a_peers_become_no_routes(own_world):
    """The administrator applied the peer's file without `pair accept`: each node refuses its own networks.
    Before, the default router of every node stopped answering."""
    east = Site(own_world, "east", gateways=1)
    west = Site(own_world, "west", gateways=1)
    join(east, west)
    router, router6 = "172.20.1.1", "fd00:20:1::1"
    worker = east.pod.node
    worker.machine.ip("link add spare type bridge\nlink set spare up\n"
                      "addr add 203.0.113.1/24 dev spare")
    claims = ["169.254.169.254/32", "127.0.0.9/32", "10.61.0.10/32", f"{router}/32",
              f"{router6}/128", "203.0.113.0/25"]
    make_service(east.cluster, "shop", "own", PORTS, {"own-0": east.pod})  # at 10.61.0.10
    east.store.put(west.causeway.as_peer([*west.cluster.pod_cidrs, *claims]))
    for number, cidr in enumerate(claims):
        west.store.put(objects.node(f"stray-{number}", [f"192.168.77.{10 + number}"], [cidr]))

    def refused():
        said = condition(east, "ClusterPeer", "ClaimsAccepted", "west").get("message", "")
        return all(cidr in said for cidr in claims[:3])
    wait_until(refused, 15, "the gateway refuses the claims that it can judge")
    wait_until(lambda: f"{router}/32" in str(east.store.get("RouteAgent", worker.name)), 15,
               "the worker's agent names the prefixes that it does not route")

    def unharmed():
        assert ping(worker.machine, router) and ping(worker.machine, router6), "the router answers"
        assert not any(routes_of(worker, cidr) for cidr in claims), "no route"
        return True
    stays_true(unharmed, 4, "the host reaches its own networks")
    wait_until_reached(east, west)


def write(store, body):
    """Like store.put() for a new object, but fast for thousands: JSON is YAML."""
    meta = body["metadata"]
    path = store.path(body["kind"], meta["name"], meta["namespace"])
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.fresh")
    fresh.write_text(json.dumps(body))
    fresh.rename(path)


def test_one_namespace_cannot_crowd_out_anothers_exports(own_world):
    """A user of one namespace of west exports more than a cluster may announce. Before, another namespace's
    export was not announced, and no condition said so."""
    east = Site(own_world, "east", gateways=1, workers=0, ipv6=False)
    west = Site(own_world, "west", gateways=1, workers=0, ipv6=False)
    join(east, west)
    # East has no such namespace, so it stores none of it. Conditions are written in the order of the names,
    # about 13 per second. So the other namespace's name must not be the last.
    west.store.put(objects.namespace("mass"))
    count = 32 * 1024 * 1024 // 16_000 + 100
    for name in [*(f"s{number}" for number in range(count)), "latest"]:
        body = objects.service_export("mass", name)
        body["metadata"]["creationTimestamp"] = f"20{24 if name == 'latest' else 20}-01-01T00:00:00Z"
        body["spec"] = {"exportedAnnotations": {"note": "x" * 16_000}}
        write(west.store, objects.service("mass", name, PORTS, "None"))
        write(west.store, body)
    make_service(west.cluster, "data", "pg2", PORTS, {"pg-0": west.pod}, headless=True)
    export(west.cluster, "data", "pg2")
    wait_until(lambda: addresses(east, "pg2.data.svc.clusterset.local") == addresses_of(west.pod), 60,
               "the other namespace's export is announced", every=0.2)
    wait_until(lambda: condition(west, "ServiceExport", "Valid", "latest", "mass").get("reason")
               == "OverShare", 60, "exports that are not announced say so, the youngest first", every=0.5)
    wait_until(lambda: condition(west, "ServiceExport", "Valid", "pg2", "data").get("status") == "True", 60,
               "the other namespace's export is valid", every=0.5)


def test_metadata_of_one_export_is_bounded(own_world):
    """Before, 260 KB of annotations on each of 140 exports filled the feed."""
    west = Site(own_world, "west", gateways=1, workers=0, ipv6=False).start()
    make_service(west.cluster, "shop", "big", PORTS, {"b-0": west.pod})
    west.store.put({**objects.service_export("shop", "big"),
                    "spec": {"exportedAnnotations": {"note": "x" * 17_000}}})
    wait_until(lambda: condition(west, "ServiceExport", "Valid", "big", "shop").get("reason")
               == "TooLarge", 15, "the export's condition says what is wrong")
