"""Pod networks that do not use Node.spec.podCIDRs: Calico's blocks, made by hand (fabric/calico.py).

The nodes' podCIDRs are ranges that no pod has. Before Causeway read BlockAffinities, no packet passed and every
condition said that all was well.
"""

import time

import pytest

from fabric import objects
from fabric.calico import CalicoCluster, affinity
from fabric.site import Site, join
from fabric.traffic import ping, transfer
from fabric.wait import wait_until

KIB = 1024


@pytest.fixture(scope="module")
def blocks(world, tell):
    """East's pod network is Calico's, west's is the bridge."""
    tell("raising east (Calico's blocks) and west (bridge)")
    # As the chart configures it: the pod network forwards, too.
    east = Site(world, "east", network=CalicoCluster, agent_options={"forwarding": "all"})
    west = Site(world, "west", ipv6=False)
    join(east, west)
    return east, west


def quick_ping(machine, address):
    return ping(machine, address, timeout=0.1)


def why_not_ready(site, node):
    return site.causeway.agent_of(node).why_not_ready()


def test_pods_of_blocks_and_of_a_bridge_keep_their_addresses(blocks):
    east, west = blocks
    for here, there in ((east, west), (west, east)):
        for client in here.pods:
            done = transfer(client.machine, there.pod.ip, 64 * KIB)
            assert done.source == client.ip, f"{client.name} arrives as {done.source}"


def test_every_gateway_says_where_its_prefixes_stand(blocks):
    east, west = blocks
    for site, source in ((east, "calico"), (west, "node")):
        for gateway in site.store.list("TunnelGateway"):
            assert gateway["status"]["prefixSource"] == source


def test_a_pod_of_a_new_block_is_reached_soon(blocks, tell):
    east, west = blocks
    node, took = east.cluster.workers[0], []
    for n in range(5):
        node.take_block()
        begun = time.monotonic()
        pod = node.pod(f"late-{n}")
        wait_until(lambda pod=pod: quick_ping(west.pod.machine, pod.ip), 10, "the new pod is reached")
        wait_until(lambda pod=pod: quick_ping(pod.machine, west.pod.ip), 10, "and it reaches the other cluster")
        took.append(time.monotonic() - begun)
    tell(f"a pod of a new block is reached {sorted(took)[2] * 1000:.0f} ms after its block (median of 5, longest "
         f"{max(took) * 1000:.0f} ms)")


def test_a_block_that_moves_to_another_node(blocks):
    east, west = blocks
    giver, taker = east.cluster.workers[0], east.cluster.gateway_nodes[0]
    block = giver.take_block()
    pod = giver.pod("mover")
    wait_until(lambda: ping(west.pod.machine, pod.ip), 10, "the pod is reached at the first node")
    # The pod ends, the node gives the empty block back, and another node takes it.
    giver.machine.ip(f"route del {pod.ip}/32\nroute del blackhole {block}")
    pod.machine.ip("link set eth0 down")
    giver.blocks.remove(block)
    path = affinity(giver.name, block)["metadata"]["name"]
    east.store.remove("BlockAffinity", path)
    east.cluster.give_block(taker, block)
    again = taker.pod("moved")
    wait_until(lambda: ping(west.pod.machine, again.ip), 10, "the pod is reached at the other node")
    assert transfer(again.machine, west.pod.ip, 64 * KIB).source == again.ip


def test_a_wrong_source_is_found_by_the_nodes(blocks):
    """An administrator insists on podCIDRs that Calico does not use. The nodes compare them with their pods."""
    east, west = blocks
    settings = objects.config_map("causeway-system", "causeway-prefixes", {"source": "node"})
    east.store.put(settings)
    try:
        node = east.cluster.workers[0]
        wait_until(lambda: "outside of its prefixes" in why_not_ready(east, node), 15,
                   "the node is not ready")
        why = why_not_ready(east, node)
        assert node.pods[0].ip in why and "BlockAffinities" in why, why
    finally:
        east.store.remove("ConfigMap", "causeway-prefixes", "causeway-system")
    wait_until(lambda: why_not_ready(east, east.cluster.workers[0]) == "", 15, "the node is ready again")
    wait_until(lambda: ping(east.pod.machine, west.pod.ip), 15, "pods reach each other again")


def test_a_mistake_in_the_settings_is_said_and_changes_nothing(blocks):
    east, west = blocks
    east.store.put(objects.config_map("causeway-system", "causeway-prefixes", {"source": "canal"}))
    try:
        wait_until(lambda: "want auto" in why_not_ready(east, east.cluster.workers[0]), 15, "it is said")
        assert ping(east.pod.machine, west.pod.ip)
    finally:
        east.store.remove("ConfigMap", "causeway-prefixes", "causeway-system")
    wait_until(lambda: why_not_ready(east, east.cluster.workers[0]) == "", 15, "the node is ready again")
