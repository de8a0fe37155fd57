"""Attacks on the feed: by a caller without a key, and by a compromised peer that sends too much too fast. The
peer also floods claims. It costs a bounded amount of memory, log and descriptors. `./dev bench rogue` measures
its effect on the traffic of others."""

import base64
import os
import time

import pytest

from fabric.rogue import control_address, gateway_object
from fabric.rogue_feed import FEED, MODES, RogueFeed
from fabric.site import Site, join
from fabric.traffic import PYTHON, Stream, ping
from fabric.wait import stays_true, wait_until

@pytest.fixture(scope="module")
def scene(world, tell):
    tell("raising three clusters, east, north and a rogue west")
    # The second cluster is west: the rogue's prefixes are 10.42.0.0/16.
    # With two gateways each prefix has a choice of carriers.
    east, west, north = (Site(world, name, gateways=2, ipv6=False)
                         for name in ("east", "west", "north"))
    join(east, north, west)
    # The rogue announces prefixes of its choice inside its allowed ones.
    rogue = RogueFeed(west, east, north)
    return east, north, rogue


# Bytes of one gateway's log, with debug lines, during 12 s of a peer's attack.
LOG = 100 << 10


def log_bytes(gateway):
    return gateway.process.log.stat().st_size


@pytest.mark.timing
def test_a_peer_that_flips_its_claims_costs_others_nothing(scene, tell):
    """Each change of a claim moves prefixes in the tunnel device. Before there was a budget, all 2,000 changes
    per second did. Each gave a line of the log and a look at every prefix of every cluster. This scenario runs
    first, because the number of changes at once grows with the prefixes that a peer has announced."""
    east, north, rogue = scene
    gateways = east.causeway.gateways
    moves = [gateway.metric("causeway_prefix_moves_total") or 0 for gateway in gateways]

    def moved():
        return [gateway.metric("causeway_prefix_moves_total") - before for gateway, before in zip(gateways, moves)]
    with rogue.flip(east):
        wait_until(lambda: min(moved()) > 200, 30, "the claims take effect")
        first, logged, began = moved(), [log_bytes(gateway) for gateway in gateways], time.monotonic()
        stream = Stream(east.pod.machine, north.pod.machine, north.pod.ip, east.world.folder)
        stays_true(lambda: True, 12, "the rogue claims, the stream flows", every=0.5)
        report = stream.stop()
        then, seconds = moved(), time.monotonic() - began
    logged = max(log_bytes(gateway) - before for gateway, before in zip(gateways, logged))
    tell(f"flips: {report}, {first}, then {then} moves in {seconds:.0f} s, log +{logged / 1024:.1f} KiB")
    # 256 at once, then 50 per second.
    assert max(after - before for before, after in zip(first, then)) < 256 + 60 * seconds
    assert report.lost < (report.received + report.lost) / 100
    assert logged < LOG


@pytest.mark.parametrize("what", [what for what in MODES if what.startswith("announces")])
def test_a_rogue_peer_at_full_speed_costs_little_memory_and_log(scene, what, tell):
    east, north, rogue = scene
    gateway = east.causeway.gateways[0]
    resident, logged = gateway.resident_kib(), log_bytes(gateway)
    stream = Stream(east.pod.machine, north.pod.machine, north.pod.ip, east.world.folder)
    with rogue.speak(*MODES[what]):
        stays_true(lambda: True, 12, "the rogue speaks, the stream flows", every=0.5)
        report = stream.stop()
    grown, logged = gateway.resident_kib() - resident, log_bytes(gateway) - logged
    tell(f"{what}: {report}, gateway +{grown / 1024:.0f} MiB, log +{logged / 1024:.1f} KiB")
    assert grown < 64 << 10
    assert logged < LOG, "the log grows with the peer's messages"
    wait_until(lambda: ping(east.pod.machine, north.pod.ip), 10, "the others see each other")


@pytest.mark.timing
@pytest.mark.parametrize("what", [what for what in MODES if what.startswith("changes")])
def test_a_rogue_peer_that_always_changes_its_exports_is_still_heard(scene, what):
    """Before, its snapshot never ended: it changed faster than it was read, so the feed was never connected."""
    east, north, rogue = scene
    log = east.causeway.gateways[0].process
    before = log.output().count("feed connected cluster=west")
    with rogue.speak(*MODES[what]):
        wait_until(lambda: log.output().count("feed connected cluster=west") > before, 40,
                   "the rogue's snapshot ends", every=0.5)
    wait_until(lambda: ping(east.pod.machine, north.pod.ip), 10, "the others see each other")


def connections_taken(machine):
    """The number of TCP connections that the host's listeners accepted since it started."""
    names, values = [line.split() for line in machine.out("cat", "/proc/net/snmp").splitlines()
                     if line.startswith("Tcp:")]
    return int(values[names.index("PassiveOpens")])


def test_connections_to_the_feed_port_cost_few_descriptors_and_no_memory(scene, tell):
    east, north, rogue = scene
    gateway = east.causeway.gateways[0]
    resident = gateway.resident_kib()
    taken = connections_taken(gateway.machine)
    stream = Stream(east.pod.machine, north.pod.machine, north.pod.ip, east.world.folder)
    with rogue.connect(east):
        stays_true(lambda: len(gateway_descriptors(gateway)) < 200, 10, "few descriptors", every=0.5)
        report = stream.stop()
    grown = gateway.resident_kib() - resident
    tell(f"connections: {report}, gateway +{grown / 1024:.0f} MiB")
    assert grown < 8 << 10
    # 20 at once, then 5 per second. Before the limit there were thousands.
    assert connections_taken(gateway.machine) - taken < 150
    wait_until(lambda: north.causeway.connected_to("east"), 20, "the others are connected")


def gateway_descriptors(gateway):
    return os.listdir(f"/proc/{gateway.process.pid}/fd")


# Without the key: a hello with a known gateway's public key, then silence, garbage or HTTP/2.
CALL = """
import socket, sys
out = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5)
key = bytes.fromhex(sys.argv[3])
sent = {"hello": b"CWFH\\2\\0\\1\\0" + key + bytes(64), "version": b"CWFH\\3\\0\\1\\0" + bytes(96),
        "http": b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n" + bytes(9), "nothing": b""}[sys.argv[4]]
out.sendall(sent)
if sys.argv[4] == "hello":
    answer = out.recv(104, socket.MSG_WAITALL)
    assert answer[:4] == b"CWFH", answer
    if answer[6] == 2:
        out.sendall(b"CWFH\\2\\0\\3\\0" + bytes(64) + b"x" * 32)
        answer = out.recv(104, socket.MSG_WAITALL)
    print(answer[6], answer[7])
elif sys.argv[4] == "version":
    answer = out.recv(104, socket.MSG_WAITALL)
    print(answer[4], answer[6], answer[7])
out.settimeout(5)
assert out.recv(1) == b"", "the connection is not ended"
"""


def test_a_caller_without_a_key_gets_nothing(own_world):
    """From the gateway's own host, where no filter protects the port: an address proves nothing."""
    east = Site(own_world, "east", gateways=1, ipv6=False)
    west = Site(own_world, "west", gateways=1, ipv6=False)
    join(east, west)
    machine = east.cluster.gateway_nodes[0].machine
    known = base64.b64decode(gateway_object(west)["spec"]["publicKey"]).hex()

    def call(what, key=known):
        return machine.out(PYTHON, "-c", CALL, control_address(east), FEED, key, what).split()
    assert call("hello") == ["5", "3"], "a wrong proof is refused"
    assert call("hello", "ab" * 32) == ["5", "2"], "an unknown key is refused"
    assert call("version") == ["2", "5", "1"], "another version is refused, with ours"
    call("http")
    call("nothing")
    log = east.causeway.gateways[0].process.output()
    assert "speaks feed version 3.0, this one 2.0" in log
    assert west.causeway.connected_to("east") and east.causeway.connected_to("west")
