"""Access: only a paired cluster gets in, only with its key, and only with prefixes that it may claim."""

import base64
import copy
import ipaddress
import os
import pathlib

import pytest

from fabric import objects
from fabric.ctl import ctl
from fabric.daemons import pair
from fabric.site import Site, join, wait_until_reached
from fabric.traffic import ping
from fabric.wait import stays_true, wait_until


@pytest.fixture
def strangers(own_world):
    """Two clusters that run and are not paired."""
    east = Site(own_world, "east", gateways=1).start()
    west = Site(own_world, "west", gateways=1).start()
    return east, west


def nothing_passes(one, other):
    for here, there in ((one, other), (other, one)):
        assert not ping(here.pod.machine, there.pod.ip)
        assert not any(t["state"] == "up" or t.get("rxBytes", 0) > 0
                       for _, t in here.causeway.tunnels()), here.causeway.tunnels()
    return True


def test_a_peer_that_is_paired_on_one_side_only_gets_nothing(strangers):
    east, west = strangers
    west.store.put(east.causeway.as_peer())  # west has paired, east has not
    wait_until(west.causeway.tunnels, 15, "west tries")
    stays_true(lambda: nothing_passes(east, west), 4, "east gives nothing")
    east.store.put(west.causeway.as_peer())
    wait_until_reached(east, west)


def test_a_peer_with_another_key_gets_nothing(strangers):
    east, west = strangers
    right = east.causeway.as_peer()
    wrong = copy.deepcopy(right)
    wrong["spec"]["gateways"][0]["publicKey"] = base64.b64encode(os.urandom(32)).decode()
    west.store.put(wrong)
    east.store.put(west.causeway.as_peer())
    wait_until(west.causeway.tunnels, 15, "west tries")
    stays_true(lambda: nothing_passes(east, west), 4, "a wrong key opens nothing")
    west.store.put(right)
    wait_until_reached(east, west)


def test_removing_a_peer_closes_the_tunnel(strangers):
    """Only the tunnel closes: its packets are held back until a deliberate unpair."""
    east, west = strangers
    join(east, west)
    east.store.remove("ClusterPeer", "west")
    wait_until(lambda: not ping(west.pod.machine, east.pod.ip), 10, "east is closed to west")
    wait_until(lambda: "10.42" not in routes(east), 10, "east has no route to west")
    for family in (4, 6):  # while the WAN's sniffer watches
        assert not ping(east.pod.machine, west.pod.address(family))
    assert east.causeway.keeps_closed("west")
    wait_until(lambda: "causewayctl unpair west" in ctl(east, "status").stdout, 10,
               "status says how to open it")
    pair(east.causeway, west.causeway)
    wait_until_reached(east, west)


@pytest.mark.parametrize("peer", ("there", "removed before"))
def test_unpairing_lets_go_of_a_clusters_prefixes(strangers, peer):
    east, west = strangers
    join(east, west)
    if peer == "removed before":
        east.store.remove("ClusterPeer", "west")
        wait_until(lambda: not ping(west.pod.machine, east.pod.ip), 10, "east is closed to west")
    worker = east.causeway.agent_of(east.pod.node)
    worker.stop()
    east.world.watch.end(east.cluster, west.cluster)
    done = ctl(east, "unpair", "west", check=False, timeout=60)
    assert done.returncode == 1 and east.pod.node.name in done.stderr, done.stderr
    assert east.store.get("ClusterPeer", "west")["spec"]["unpaired"] is True
    assert "10.42" in guard(east.pod.node), "its agent is away"
    worker.start()
    done = ctl(east, "unpair", "west", timeout=60)
    assert east.store.get("ClusterPeer", "west") is None
    for node in east.cluster.nodes:
        assert "10.42" not in guard(node) + routes(east)
        state = east.causeway.agent_of(node).config["stateDir"]
        assert "west" not in pathlib.Path(state, "closed.json").read_text()
    assert not ping(west.pod.machine, east.pod.ip), "the tunnel is closed"
    done = ctl(east, "unpair", "west", check=False)
    assert done.returncode == 1 and "no peer west" in done.stderr
    pair(east.causeway, west.causeway)
    wait_until_reached(east, west)


def guard(node):
    return node.machine.sh("ip rule show; ip -6 rule show; "
                           "nft list table inet causeway-closed 2>/dev/null || true")


def claim(site, cidr):
    """Adds a node with this pod CIDR: the site's gateways announce it."""
    site.store.put(objects.node("stray", [f"172.20.{site.cluster.number}.200"], [cidr]))


def claims_of(site, other):
    return site.store.conditions("ClusterPeer", other.id).get("ClaimsAccepted", {})


def refused(site, other, cidr):
    condition = claims_of(site, other)
    return condition.get("status") == "False" and cidr in condition.get("message", "")


def routes(site):
    return site.pod.node.machine.out("ip", "route", "show", "table", "all")


@pytest.mark.parametrize("what, cidr, allowed", (
    ("outside what its ClusterPeer allows", "10.99.1.0/24", None),
    ("local to the receiver", "10.41.2.0/24", ("10.42.0.0/16", "10.41.0.0/16")),
))
def test_a_claim_is_refused_and_the_rest_works(own_world, what, cidr, allowed):
    east = Site(own_world, "east", gateways=1, ipv6=False)
    west = Site(own_world, "west", gateways=1, ipv6=False)
    join(east, west)
    before = routes(east)
    if allowed:
        east.store.put(west.causeway.as_peer(allowed))
    claim(west, cidr)
    wait_until(lambda: refused(east, west, cidr), 15, f"the claim is refused: {what}")
    # West accepts its own claim: for west that prefix is not east's. All others go on.
    for pod in east.pods:
        if ipaddress.ip_address(pod.ip) not in ipaddress.ip_network(cidr):
            wait_until(lambda pod=pod: ping(pod.machine, west.pod.ip)
                       and ping(west.pod.machine, pod.ip), 5, f"{pod.name} and west see each other")
    assert routes(east) == before, "the refused claim changed a route"
    west.store.remove("Node", "stray")
    wait_until(lambda: claims_of(east, west).get("status") == "True", 15,
               "all claims are accepted again")


def test_a_claim_of_a_third_clusters_prefix_is_refused(own_world):
    east = Site(own_world, "east", gateways=1, ipv6=False)
    west = Site(own_world, "west", gateways=1, ipv6=False)
    north = Site(own_world, "north", gateways=1, ipv6=False)
    join(east, west, north)
    east.store.put(north.causeway.as_peer(("10.43.0.0/16", "10.42.0.0/16")))
    claim(north, west.cluster.workers[0].pod_cidr)
    wait_until(lambda: refused(east, north, west.cluster.workers[0].pod_cidr), 15,
               "east refuses north's claim of a prefix of west")
    for other in (west, north):
        wait_until_reached(east, other, 5)
