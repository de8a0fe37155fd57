"""The same system in other shapes: NAT, three clusters, one gateway, IPv4 only, legacy iptables."""

import itertools

from fabric.dns import ask
from fabric.services import export, make_service
from fabric.site import Site, join, wait_until_reached
from fabric.traffic import MIB, TCP_PORT, ping, transfer
from fabric.wait import wait_until


def all_pairs_keep_addresses(*sites):
    for here, there in itertools.permutations(sites, 2):
        for client in here.pods:
            done = transfer(client.machine, there.pod.ip, MIB // 4)
            assert done.source == client.ip, f"{client.name} to {there.id} arrives as {done.source}"


def test_a_cluster_behind_nat(own_world):
    """Other clusters cannot call it. It calls them, and then traffic flows in both directions."""
    open_, hidden = Site(own_world, "open"), Site(own_world, "hidden", nat=True)
    assert not ping(open_.cluster.gateway_nodes[0].machine, hidden.cluster.gateway_nodes[0].ip)
    join(open_, hidden)
    all_pairs_keep_addresses(open_, hidden)
    wait_until(lambda: all(tunnel.get("endpoint") for _, tunnel in open_.causeway.tunnels()), 15,
               "every tunnel reports its endpoint")
    for _, tunnel in open_.causeway.tunnels():
        assert "172.20.2." not in tunnel["endpoint"], "the endpoint is not the NAT's address"
    # The gateway behind NAT restarts: the other side must find its new source port.
    hidden.causeway.gateways[0].restart()
    wait_until_reached(open_, hidden)


def test_three_clusters(own_world):
    sites = [Site(own_world, name) for name in ("east", "west", "north")]
    join(*sites)
    all_pairs_keep_addresses(*sites)
    east, west, north = sites
    make_service(east.cluster, "shop", "web", {"echo": TCP_PORT}, {"web-0": east.pod})
    export(east.cluster, "shop", "web")
    for site in (west, north):
        wait_until(lambda site=site: ask(site.pod.machine, site.causeway.dns,
                                         "web.shop.svc.clusterset.local").data("A") ==
                   [east.pod.ip], 10, f"{site.id} resolves east's Service")
    # A whole cluster dies. The other two do not notice.
    for ordinal in (0, 1):
        east.crash_gateway(ordinal)
    all_pairs_keep_addresses(west, north)


def test_one_gateway_and_no_worker(own_world):
    """The smallest cluster: one node that is gateway and worker."""
    big, small = Site(own_world, "big"), Site(own_world, "small", gateways=1, workers=0)
    join(big, small)
    all_pairs_keep_addresses(big, small)


def test_clusters_without_ipv6(own_world):
    sites = [Site(own_world, name, gateways=1, ipv6=False) for name in ("east", "west")]
    join(*sites)
    all_pairs_keep_addresses(*sites)


def test_masquerading_by_legacy_iptables(own_world):
    """The other form of a CNI's rules, which nft does not show."""
    sites = [Site(own_world, name, iptables="legacy", ipv6=False) for name in ("east", "west")]
    join(*sites)
    all_pairs_keep_addresses(*sites)
    rules = sites[0].cluster.workers[0].machine.out("iptables-legacy", "-t", "nat", "-S")
    assert "MASQUERADE" in rules
