"""Pod networks that do not use Node.spec.podCIDRs: Calico's blocks, made by hand (fabric/calico.py).

The nodes' podCIDRs are ranges that no pod has. Before Causeway read BlockAffinities, no packet passed and every
condition said that all was well.
"""

import time

import pytest

from fabric import objects
from fabric.calico import CalicoCluster, ipam_block
from fabric.site import Site, join, wait_until_settled
from fabric.traffic import Stream, let_flow, ping, transfer
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


def what_to_change(site):
    """What each gateway says an administrator should change about the pod network."""
    return [condition["message"] for gateway in site.store.list("TunnelGateway")
            for condition in gateway["status"]["conditions"] if condition["type"] == "PrefixesInOrder"]


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


def allowed_at(site):
    """Prefix -> public key of the remote gateway, as each gateway of the site has them."""
    found = []
    for node in site.cluster.gateway_nodes:
        rows = [line.split() for line in node.machine.out("wg", "show", "cw-wg", "allowed-ips").splitlines()]
        found.append({prefix: key for key, *prefixes in rows for prefix in prefixes})
    return found


def accepted(site, other):
    return set(site.store.get("ClusterPeer", other.id)["status"]["cidrs"])


def owners(site, other):
    nodes = site.store.get("ClusterPeer", other.id)["status"]["nodes"]
    return {prefix: node["name"] for node in nodes for prefix in node["prefixes"]}


def test_a_block_that_is_given_back_has_no_owner(blocks):
    east, west = blocks
    node = east.cluster.workers[0]
    block = node.take_block()
    pod = node.pod("short")
    wait_until(lambda: quick_ping(west.pod.machine, pod.ip), 10, "the pod is reached")
    assert owners(west, east)[str(block)] == node.name
    pod.end()
    node.give_back(block)
    wait_until(lambda: str(block) not in accepted(west, east), 10, "the other cluster knows it")
    wait_until(lambda: not any(str(block) in at for at in allowed_at(west)), 10, "no gateway accepts it")
    assert ping(west.pod.machine, node.pods[0].ip), "the node's other blocks are as before"


def test_twenty_blocks_of_a_node_have_one_gateway(blocks):
    east, west = blocks
    node = east.cluster.workers[0]
    while len(node.blocks) < 20:
        node.take_block()
    names = {str(block) for block in node.blocks}
    wait_until(lambda: names <= accepted(west, east), 10, "all are accepted")
    wait_until(lambda: all(names <= at.keys() for at in allowed_at(west)), 10, "all are allowed IPs")
    for at in allowed_at(west):
        assert len({at[name] for name in names}) == 1, "all blocks are at the node's carrier"
    pod = node.pod("twentieth")
    wait_until(lambda: quick_ping(west.pod.machine, pod.ip), 10, "a pod of the last block is reached")
    assert transfer(pod.machine, west.pod.ip, 64 * KIB).source == pod.ip


def test_a_borrowed_address_follows_its_borrower(blocks, tell):
    """The two nodes are carried by their own gateways, so the block and the address inside it are at different
    peers. The IPAMBlock says who has the address."""
    east, west = blocks
    lender, borrower = east.cluster.gateway_nodes
    pod = borrower.borrow("borrows", lender)
    try:
        wait_until(lambda: all("strictAffinity: true" in text for text in what_to_change(east)), 10,
                   "every gateway recommends strictAffinity")
        wait_until(lambda: quick_ping(west.pod.machine, pod.ip), 10, "the pod is reached")
        assert transfer(pod.machine, west.pod.ip, 64 * KIB).source == pod.ip
        for at in allowed_at(west):
            assert at[f"{pod.ip}/32"] != at[str(lender.blocks[-1])]
        lent = lender.pods[0]
        assert ping(west.pod.machine, lent.ip) and ping(lent.machine, west.pod.ip), "the block's own pods"
        # Its gateway is lost: the address goes with its borrower's other prefixes.
        ordinal = east.cluster.gateway_nodes.index(borrower)
        east.causeway.gateways[ordinal].kill()
        try:
            wait_until(lambda: ping(west.pod.machine, pod.ip), 10, "by the other gateway")
            assert transfer(pod.machine, west.pod.ip, 64 * KIB).source == pod.ip
        finally:
            east.causeway.gateways[ordinal].start()
    finally:
        pod.end()
        east.store.put(ipam_block(lender.name, lender.blocks[-1]))
    wait_until(lambda: not any(what_to_change(east)), 10, "there is nothing to recommend")
    wait_until(lambda: f"{pod.ip}/32" not in accepted(west, east), 10, "the address is given back")
    wait_until_settled(east, west)


@pytest.mark.timing
def test_a_planned_stop_loses_nothing_of_any_block(blocks, tell):
    east, west = blocks
    node = east.cluster.workers[0]
    pods = []
    for n in range(3):
        node.take_block()
        pods.append(node.pod(f"stays-{n}"))
    for pod in pods:
        wait_until(lambda pod=pod: quick_ping(west.pod.machine, pod.ip), 10, "the pod is reached")
    leaving = east.carrier_to(west, node=node)
    streams = [Stream(pod.machine, west.pod.machine, west.pod.ip, east.world.folder) for pod in pods]
    streams.append(Stream(west.pod.machine, pods[1].machine, pods[1].ip, east.world.folder))
    assert east.causeway.gateways[leaving].stop() == 0
    let_flow(*streams)
    reports = [stream.stop() for stream in streams]
    tell(f"planned stop, three blocks of a node: {'; '.join(str(report) for report in reports)}")
    east.causeway.gateways[leaving].start()
    assert [report.lost for report in reports] == [0] * 4
    wait_until_settled(east, west)


def test_a_block_that_moves_to_another_node(blocks):
    east, west = blocks
    giver, taker = east.cluster.workers[0], east.cluster.gateway_nodes[0]
    block = giver.take_block()
    pod = giver.pod("mover")
    wait_until(lambda: ping(west.pod.machine, pod.ip), 10, "the pod is reached at the first node")
    # The pod ends, the node gives the empty block back, and another node takes it.
    pod.end()
    giver.give_back(block)
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
