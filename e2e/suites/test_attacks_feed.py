"""Attacks on the feed: by who has no key, and by a compromised peer that says too much too fast. What the
peer does must cost the traffic between two other clusters nothing."""

import base64
import os

import pytest

from fabric.rogue import LINK, RogueGateway, control_address, gateway_object, private_key
from fabric.site import Site, join
from fabric.traffic import PYTHON, Stream
from fabric.wait import stays_true, wait_until

FEED = 4798
MODES = {
    "changes 9,900 exports of 1 endpoint": ("exports=9900,1",),
    "changes 2,000 exports of 5 endpoints": ("exports=2000,5",),
    "announces 5,000 prefixes, one less, one more": ("announce=5000",),
    "announces 9,900 prefixes that are refused": ("refused=9900",),
    "sends a snapshot again and again": ("exports=5000,1", "restarts"),
}
# The aim is 50 ms on a machine of its own. A busy one delays packets by itself, so what fails a scenario is
# more; the figure is told.
MOST_MS = 1000


class RogueFeed:
    """West's only gateway, compromised: its tunnels to the victims stand, its feed is the rogue's."""

    def __init__(self, site, *victims):
        self.site, self.victims = site, victims
        self.key = private_key(site)
        self.control = control_address(site)
        self.gateway = RogueGateway(site, *victims)
        self.machine = self.gateway.machine
        self.machine.run("ip", "address", "add", f"{self.control}/128", "dev", LINK)
        for victim in victims:
            self.gateway.aim(control_address(victim))
        self.process = None

    def speak(self, *modes):
        """Use with `with`."""
        callers = [f"{victim.id}/{g['spec']['ordinal']}={g['spec']['publicKey']}"
                   for victim in self.victims for g in victim.store.list("Gateway")]
        return self._start(self.key, self.site.id, self.control, *callers, *modes)

    def connect(self, victim):
        return self._start(self.key, f"connections=[{control_address(victim)}]:{FEED}", self.control)

    def _start(self, *words):
        # Everything is on one host: the rogue must not win by taking the victims' processors.
        self.process = self.machine.spawn("rogue-feed", "nice", "-n", 19,
                                          self.site.world.program("rogue_feed"), *words)
        wait_until(lambda: "speaking" in self.process.output(), 10, "the rogue speaks")
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()


@pytest.fixture(scope="module")
def scene(world, tell):
    tell("raising three clusters, east, north and a rogue west")
    # The second cluster is west: the rogue's prefixes are 10.42.0.0/16.
    east, west, north = (Site(world, name, gateways=1, ipv6=False)
                         for name in ("east", "west", "north"))
    join(east, north, west)
    # The rogue announces what it likes inside of what it may.
    rogue = RogueFeed(west, east, north)
    return east, north, rogue


def fell(site):
    return site.causeway.gateways[0].process.output().count("tunnel lost cluster=north")


def stream_of(east, north):
    return Stream(east.pod.machine, north.pod.machine, north.pod.ip, east.world.folder)


def quiet(east, north):
    """The longest wait of the stream while nothing is wrong: what this machine itself costs now."""
    stream = stream_of(east, north)
    stays_true(lambda: True, 4, "the stream flows", every=0.5)
    return stream.stop().outage_ms


def heard(site):
    return site.causeway.gateways[0].process.output().count("feed connected cluster=west")


@pytest.mark.parametrize("what", MODES)
def test_a_rogue_peer_at_full_speed_costs_others_nothing(scene, what, tell):
    east, north, rogue = scene
    gateway = east.causeway.gateways[0]
    fallen, known, resident = fell(east), heard(east), gateway.resident_kib()
    usual = quiet(east, north)
    stream = stream_of(east, north)
    with rogue.speak(*MODES[what]):
        wait_until(lambda: heard(east) > known, 40, "east follows the rogue's feed")
        stays_true(lambda: True, 12, "the rogue speaks, the stream flows", every=0.5)
        report = stream.stop()
    grown = gateway.resident_kib() - resident
    tell(f"{what}: {report} (usually {usual:.0f} ms), gateway +{grown / 1024:.0f} MiB, "
         f"log {gateway.process.log.stat().st_size >> 10} KiB")
    assert report.outage_ms < usual + MOST_MS and report.lost < usual + MOST_MS, report
    assert fell(east) == fallen, "a tunnel between the others fell"
    assert gateway.process.log.stat().st_size < 20 << 20, "the log grows without end"


def test_connections_to_the_feed_port_cost_nothing(scene, tell):
    east, north, rogue = scene
    gateway = east.causeway.gateways[0]
    fallen, resident = fell(east), gateway.resident_kib()
    usual = quiet(east, north)
    stream = stream_of(east, north)
    with rogue.connect(east):
        stays_true(lambda: len(gateway_descriptors(gateway)) < 200, 10, "few descriptors", every=0.5)
        report = stream.stop()
    grown = gateway.resident_kib() - resident
    tell(f"connections: {report} (usually {usual:.0f} ms), gateway +{grown / 1024:.0f} MiB")
    assert report.outage_ms < usual + MOST_MS and report.lost < usual + MOST_MS, report
    assert fell(east) == fallen and grown < 8 << 10
    wait_until(lambda: north.causeway.connected_to("east"), 5, "the others are connected")


def gateway_descriptors(gateway):
    return os.listdir(f"/proc/{gateway.process.pid}/fd")


# Without the key: a hello with a known gateway's public key, then silence, garbage, or HTTP/2.
CALL = """
import socket, sys
out = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5)
key = bytes.fromhex(sys.argv[3])
sent = {"hello": b"CWFH\\1\\0\\1\\0" + key + bytes(64), "version": b"CWFH\\2\\0\\1\\0" + bytes(96),
        "http": b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n" + bytes(9), "nothing": b""}[sys.argv[4]]
out.sendall(sent)
if sys.argv[4] == "hello":
    answer = out.recv(104, socket.MSG_WAITALL)
    assert answer[:4] == b"CWFH", answer
    if answer[6] == 2:
        out.sendall(b"CWFH\\1\\0\\3\\0" + bytes(64) + b"x" * 32)
        answer = out.recv(104, socket.MSG_WAITALL)
    print(answer[6], answer[7])
elif sys.argv[4] == "version":
    answer = out.recv(104, socket.MSG_WAITALL)
    print(answer[4], answer[6], answer[7])
out.settimeout(5)
assert out.recv(1) == b"", "the connection is not ended"
"""


def test_who_has_no_key_gets_nothing(own_world):
    """From the gateway's own host, which no filter keeps off the port: an address is worth nothing."""
    east = Site(own_world, "east", gateways=1, ipv6=False)
    west = Site(own_world, "west", gateways=1, ipv6=False)
    join(east, west)
    machine = east.cluster.gateway_nodes[0].machine
    known = base64.b64decode(gateway_object(west)["spec"]["publicKey"]).hex()

    def call(what, key=known):
        return machine.out(PYTHON, "-c", CALL, control_address(east), FEED, key, what).split()
    assert call("hello") == ["5", "3"], "a wrong proof is refused"
    assert call("hello", "ab" * 32) == ["5", "2"], "an unknown key is refused"
    assert call("version") == ["1", "5", "1"], "another version is refused, with ours"
    call("http")
    call("nothing")
    log = east.causeway.gateways[0].process.output()
    assert "speaks feed version 2.0, this one 1.0" in log
    assert west.causeway.connected_to("east") and east.causeway.connected_to("west")
