"""Packets between pods of two clusters: addresses, sizes, protocols, and packets that must not pass."""

import pytest

from fabric.traffic import MIB, ping, serve_tcp, transfer

IP_AND_ICMP = {4: 28, 6: 48}


def ways(east, west):
    return ((east, west), (west, east))


def device_mtu(machine, link):
    return int(machine.out("cat", f"/sys/class/net/{link}/mtu"))


@pytest.mark.parametrize("family", (4, 6))
def test_pods_see_each_others_own_addresses(east, west, family):
    for here, there in ways(east, west):
        for client in here.pods:
            for server in there.pods:
                done = transfer(client.machine, server.address(family), 20_000)
                assert done.source == client.address(family), (
                    f"{server.name} sees {done.source} in place of {client.name}")


@pytest.mark.parametrize("family", (4, 6))
def test_a_mebibyte_passes_unharmed_both_ways(east, west, family):
    for here, there in ways(east, west):
        for client in (here.worker_pods[0], here.gateway_pods[0]):
            transfer(client.machine, there.pod.address(family), MIB)


@pytest.mark.parametrize("family", (4, 6))
def test_every_size_passes_or_is_refused_aloud(east, west, family):
    """With DF set, a packet that fits the tunnel is answered, and a larger one gets an error at once. No size
    disappears silently."""
    for here, there in ways(east, west):
        for client in (here.worker_pods[0], here.gateway_pods[0]):
            target = there.pod.address(family)
            fits = device_mtu(client.node.machine, "cw-vx") - IP_AND_ICMP[family]
            for size in sorted({*range(56, 1473, 59), fits, fits + 1, 1472}):
                asked = client.machine.run("ping", "-n", "-c", 1, "-W", "0.5", "-M", "do", "-s",
                                           size, target, check=False)
                text = asked.stdout + asked.stderr
                if size <= fits:
                    assert asked.returncode == 0, f"{client.name}: size {size}: {text}"
                else:
                    assert asked.returncode != 0, f"{client.name}: size {size} passed"
                    assert "too long" in text.lower() or "mtu" in text.lower(), (
                        f"{client.name}: size {size} vanished: {text}")


def test_the_hosts_themselves_reach_remote_pods(east, west):
    """The host's own traffic has an address inside its pod prefix, so answers come back."""
    for here, there in ways(east, west):
        for node in here.cluster.nodes:
            for server in there.pods:
                assert ping(node.machine, server.ip, 1300, df=True), (
                    f"{node.name} gets no answer from {server.name}")
            done = transfer(node.machine, there.pod.ip, MIB)
            assert done.source == node.bridge_ip
            done = transfer(node.machine, there.pod.ip6, MIB)
            assert done.source == node.bridge_ip6


def test_pods_reach_the_hosts_of_no_other_cluster(east, west):
    """The tunnel leads to pods only. Nodes are reached over the underlay."""
    for node in west.cluster.nodes:
        before = tunnel_packets(east)
        east.pod.machine.run("ping", "-c", 1, "-W", 1, node.ip, check=False)
        assert tunnel_packets(east) - before < 200, "the tunnel carried it"
    probe = west.cluster.gateway_nodes[0].machine
    assert not ping(probe, f"{east.cluster.pod_cidr.rsplit('.', 2)[0]}.250.1"), (
        "a pod prefix that no node has got an answer")


def tunnel_packets(site):
    return sum(int(node.machine.out("cat", "/sys/class/net/cw-wg/statistics/tx_packets"))
               for node in site.cluster.gateway_nodes)


def test_other_traffic_is_still_masqueraded(east):
    """Traffic to neither this cluster nor a remote one is masqueraded by the CNI's rules, as before."""
    serve_tcp(east.world.wan)
    wan_address = east.world.wan.sh("ip -4 -o addr show dev east").split()[3].split("/")[0]
    done = transfer(east.pod.machine, wan_address, 20_000)
    assert done.source == east.pod.node.ip


def test_pods_inside_a_cluster_keep_their_own_path(east):
    """Causeway adds nothing to traffic between pods of one cluster."""
    first, *others = east.pods
    for other in others:
        assert transfer(first.machine, other.ip, 20_000).source == first.ip
        route = first.node.machine.out("ip", "route", "get", other.ip)
        assert "cw-" not in route, route
