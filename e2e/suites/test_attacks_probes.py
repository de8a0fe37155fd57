"""Attacks on probes and claims: only the node itself decides its carrier. A forged or false claim
leaves the placement and the traffic unchanged."""

import base64
import json
import pathlib
import struct
import sys

import pytest

from fabric.attack import VxlanDevice, forge, udp, vxlan
from fabric.site import link_local, wait_until_settled
from fabric.traffic import PYTHON, WIRE, ping
from fabric.wait import stays_true, wait_until

sys.path.insert(0, str(WIRE))
import probe  # noqa: E402

# A busy machine starves probes, and prefixes then move for a reason of their own.
pytestmark = pytest.mark.timing

EPOCHS = (9, 2 ** 32 - 1, 2 ** 63, 2 ** 64 - 1)


def gateway_objects(site):
    return {g["spec"]["ordinal"]: g["spec"] for g in site.store.list("TunnelGateway")}


def placement(site):
    """The remote gateway from which WireGuard accepts each prefix."""
    found = {}
    for ordinal, node in enumerate(site.cluster.gateway_nodes):
        for line in node.machine.out("wg", "show", "cw-wg", "allowed-ips").splitlines():
            key, *prefixes = line.split()
            for prefix in prefixes:
                if prefix.startswith("10.") or prefix.startswith("fd00:10:"):
                    found[ordinal, prefix] = key
    return found


def settled(site, other):
    """The placement, once every prefix of the other cluster is at its carrier and stays there. A gateway in its
    hold-down, as after a bad start, would move prefixes later."""
    def whole():
        now = placement(site)
        expected = len(site.cluster.gateway_nodes) * len(other.cluster.nodes) * len(other.families)
        return now if len(now) == expected and all(
            now[g, prefix] == keys[other.carrier_to(site, family, node)]
            for g in range(len(site.cluster.gateway_nodes)) for node in other.cluster.nodes
            for family, prefix in prefixes_of(node)) else None
    wait_until_settled(site, other)
    keys = {n: spec["publicKey"] for n, spec in gateway_objects(other).items()}
    return wait_until(whole, 20, f"{site.id} has all prefixes of {other.id} at their carriers")


def prefixes_of(node):
    return [(4, node.pod_cidr)] + ([(6, node.pod_cidr6)] if node.pod_cidr6 else [])


def every_pod_reaches_every_pod(one, other):
    return all(ping(here.machine, there.address(family))
               for here in one.pods for there in other.pods for family in one.families)


def nothing_moved(victim, other, before, seconds=3):
    stays_true(lambda: placement(victim) == before, seconds, "no claim moves a prefix")
    assert every_pod_reaches_every_pod(victim, other)
    assert every_pod_reaches_every_pod(other, victim)


def version_2(*claims):
    """The unauthenticated head of version 2: only its source address names the sender."""
    return (struct.pack("!4sBBBB8sQQI", b"CWP2", 1, 0, 0, len(claims), b"attacker", 1, 0, 0) +
            bytes(16) + b"".join(claims))


def forged_claims(east, west, node):
    """Datagrams that claim the node's prefixes at east for the gateway that does not carry them. Their source
    is the control address of each west gateway."""
    for epoch in EPOCHS:
        for family, _ in prefixes_of(node):
            claim = probe.claim("", node.name, family, 1 - west.carrier_to(east, family, node), epoch)
            for ordinal, mine in gateway_objects(west).items():
                party = probe.party_id(mine["publicKey"], f"west/{ordinal}")
                guessed = probe.Asker(bytes(32), party, ordinal)
                for payload in (version_2(claim), guessed.request(claim)):
                    for theirs in gateway_objects(east).values():
                        yield udp(mine["controlAddress"], theirs["controlAddress"],
                                  probe.TUNNEL_PORT, probe.TUNNEL_PORT, payload)


def inside_vxlan(packets, site, node):
    """Each packet as VXLAN from that node to each gateway of the site, by a sender with the VNI and the MAC
    addresses."""
    device = VxlanDevice(node)
    for gateway in site.cluster.gateway_nodes:
        if gateway is node:
            continue
        there = VxlanDevice(gateway)
        for packet in packets:
            yield udp(node.ip, gateway.ip, 5000, device.port,
                      vxlan(packet, device.mac, there.mac, device.vni))


@pytest.fixture(scope="module")
def stranger(world):
    """A machine on the WAN whose provider does not filter forged source addresses."""
    machine = world.machine("stranger")
    world.link(machine, "eth0", world.wan, "stranger")
    world.wan.ip("link set stranger up\naddr add 198.51.100.1/24 dev stranger\n"
                 "addr add fd00:ff:99::1/64 dev stranger nodad")
    world.wan.sysctl(net__ipv4__conf__all__rp_filter=0, net__ipv4__conf__stranger__rp_filter=0)
    machine.ip("link set eth0 up\naddr add 198.51.100.2/24 dev eth0\n"
               "addr add fd00:ff:99::2/64 dev eth0 nodad\nroute add default via 198.51.100.1\n"
               "route add default via fd00:ff:99::1")
    return machine


def test_a_stranger_that_forges_a_workers_address_moves_nothing(east, west, stranger):
    before, worker = settled(east, west), west.pod.node
    packets = list(inside_vxlan(list(forged_claims(east, west, worker)), west, worker))
    assert forge(stranger, packets, hertz=2000) == 4 * len(packets)
    nothing_moved(east, west, before)


def test_a_pod_on_a_gateways_node_moves_nothing(east, west):
    before, worker = settled(east, west), west.pod.node
    for pod in west.gateway_pods:
        packets = list(forged_claims(east, west, worker))
        forge(pod.machine, packets, hertz=2000)
    nothing_moved(east, west, before)


def test_a_pod_on_a_worker_that_forges_another_nodes_vxlan_moves_nothing(east, west):
    before, worker = settled(east, west), west.pod.node
    for node in west.cluster.nodes:
        if node is not worker:
            packets = list(inside_vxlan(list(forged_claims(east, west, worker)), west, node))
            forge(west.pod.machine, packets, hertz=2000)
    nothing_moved(east, west, before)


def claims(machine, source, port, target, device, given, count=6):
    """The claims that the answers echo; one list per authentic answer."""
    out = machine.out(PYTHON, WIRE / "probe_claim.py", source, port, target, device, count,
                      stdin=json.dumps(given))
    return [json.loads(line) for line in out.splitlines()]


def test_a_node_with_its_own_key_claims_for_no_other_node(east, west):
    before = settled(east, west)
    attacker, victim = west.pod.node, west.cluster.gateway_nodes[0]
    agent = west.causeway.agent_of(attacker)
    key = pathlib.Path(agent.config["stateDir"], "node.key").read_text().strip()
    agent.stop()
    try:
        for epoch in (9, 2 ** 32, 2 ** 64 - 1):
            for gateway, spec in zip(west.cluster.gateway_nodes, gateway_objects(west).values()):
                answers = claims(
                    attacker.machine, "::", probe.ASK_PORT, link_local(gateway), "cw-vx",
                    {"private": key, "name": attacker.name, "public": spec["publicKey"],
                     "sender": probe.NODE,
                     "claims": [["east", victim.name, family, ordinal, epoch] for family, _ in
                                prefixes_of(victim) for ordinal in (0, 1)]})
                assert len(answers) >= 4, "the node itself is known and answered"
                assert not any(answers), f"its claims for another node are not: {answers}"
        stays_true(lambda: placement(east) == before, 3, "no claim moves a prefix")
    finally:
        agent.start()
    wait_until(lambda: agent.why_not_ready() == "", 20, "the agent is back")
    nothing_moved(east, west, before, 1)


def test_a_node_under_another_nodes_name_is_not_known(east, west):
    attacker, victim = west.pod.node, west.cluster.gateway_nodes[0]
    agent = west.causeway.agent_of(attacker)
    key = pathlib.Path(agent.config["stateDir"], "node.key").read_text().strip()
    agent.stop()
    try:
        gateway = west.cluster.gateway_nodes[1]
        for private in (key, probe.new_private()):
            assert claims(attacker.machine, "::", probe.ASK_PORT, link_local(gateway), "cw-vx", {
                "private": private, "name": victim.name,
                "public": gateway_objects(west)[1]["publicKey"], "sender": probe.NODE,
                "claims": [["east", victim.name, 4, 0, 9]]}, 3) == []
    finally:
        agent.start()
    wait_until(lambda: agent.why_not_ready() == "", 20, "the agent is back")


def private_key_of(site, public):
    """The private key of a gateway: the entry of a Secret that fits its public key."""
    for secret in site.store.list("Secret"):
        for entry in secret.get("data", {}).values():
            text = base64.b64decode(entry).strip()
            if len(text) == 44 and probe.public_of(text.decode()) == public:
                return text.decode()
    raise LookupError("no Secret has the gateway's key")


def rogue(west, ordinal, theirs, own_claims, count=12):
    """West's gateway makes these claims with its own key, beside its own daemon. Returns the echoes."""
    mine = gateway_objects(west)[ordinal]
    key = private_key_of(west, mine["publicKey"])
    return claims(west.cluster.gateway_nodes[ordinal].machine, mine["controlAddress"], 4797 + 40000,
                  theirs["controlAddress"], "cw-wg",
                  {"private": key, "name": f"west/{ordinal}", "public": theirs["publicKey"],
                   "sender": ordinal, "claims": own_claims}, count)


def test_a_peer_gateway_claims_for_no_other_clusters_node(east, west):
    before = settled(east, west)
    others = [node.name for node in east.cluster.nodes] + ["west-none", ""]
    known = {node.name for node in west.cluster.nodes}
    assert not known & set(others), "nodes of the two clusters have different names"
    for theirs in gateway_objects(east).values():
        for epoch in (9, 2 ** 64 - 1):
            answers = rogue(west, 0, theirs, [["", name, family, 1, epoch] for name in others for family in (4, 6)])
            assert answers and not any(answers), answers
    nothing_moved(east, west, before)


def test_a_false_claim_of_a_gateway_that_was_taken_over_heals_by_itself(east, west, tell):
    before, worker = settled(east, west), west.pod.node
    for epoch in (1000, 2 ** 32 - 1, 2 ** 32, 2 ** 64 - 1):
        for ordinal in gateway_objects(west):
            for theirs in gateway_objects(east).values():
                rogue(west, ordinal, theirs,
                      [["", worker.name, family, 1 - west.carrier_to(east, family, worker), epoch]
                       for family, _ in prefixes_of(worker)])
        wait_until(lambda: placement(east) == before, 10, f"epoch {epoch} is healed")
        wait_until(lambda: every_pod_reaches_every_pod(west, east), 5, "all traffic is back")
    # The same after restarts of both ends.
    rogue(west, 0, gateway_objects(east)[0],
          [["", worker.name, 4, 1 - west.carrier_to(east, 4, worker), 2 ** 32]])
    for daemon in (*east.causeway.gateways, *west.causeway.gateways, *west.causeway.agents):
        daemon.kill()
    for daemon in (*east.causeway.gateways, *west.causeway.gateways, *west.causeway.agents):
        daemon.start()
    wait_until(lambda: every_pod_reaches_every_pod(west, east), 30, "all traffic is back")
    settled(east, west)
