"""The engine with other WireGuards and with itself: handshakes, keys, roaming, floods, bad networks.
test_interop_long.py has rekeying and Linux's own WireGuard."""

import itertools
import threading
import time

import pytest

from fabric.pair import PORT, Pair, engine, wireguard_go
from fabric.traffic import MIB, PYTHON, WIRE, serve_tcp, transfer
from fabric.wait import stays_true, wait_until

NUMBERS = itertools.count()
KINDS = ("engine-engine", "engine-go", "go-engine")


def ends(build, kind):
    made = {"engine": engine(build), "go": wireguard_go(), "nogso": engine(build, "gso=off")}
    return [made[word] for word in kind.split("-")]


@pytest.fixture
def pair(world):
    """Makes pairs that end with the scenario."""
    made = []

    def make(kind, **options):
        made.append(Pair(world, ends(world.build, kind), name=f"p{next(NUMBERS)}-", **options))
        return made[-1]
    yield make
    for one in made:
        one.close()


def carries(one, size=2 * MIB):
    for host, target in ((0, "2"), (1, "1")):
        serve_tcp(one.hosts[1 - host])
        transfer(one.hosts[host], f"10.9.0.{target}", size)
        transfer(one.hosts[host], f"fd09::{target}", size)


@pytest.mark.parametrize("outer", (4, 6))
@pytest.mark.parametrize("kind", KINDS)
def test_traffic_of_both_families_over_both(pair, kind, outer):
    one = pair(kind, outer=outer).connect()
    carries(one)
    assert one.show(0)["handshake"] > 0
    assert ("[" in one.show(0)["endpoint"]) == (outer == 6)


@pytest.mark.parametrize("kind", KINDS)
def test_item12_preshared_keys(pair, kind):
    one = pair(kind, psk=True).connect()
    carries(one, 65536)
    other = pair(kind, psk=True)
    other.psk = other.hosts[0].out("wg", "genpsk").strip()
    other.configure(1)
    stays_true(lambda: not other.reaches(), 1.5, "a wrong secret passes nothing")
    assert other.show(1)["handshake"] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_item18_a_new_private_key_works_at_once(pair, kind):
    one = pair(kind).connect()
    private = one.hosts[0].out("wg", "genkey").strip()
    public = one.hosts[0].out("wg", "pubkey", stdin=private).strip()
    one.hosts[1].run("wg", "set", "wg0", "peer", one.keys[0][1], "remove")
    one.keys[0] = (private, public)
    one.hosts[0].run("wg", "set", "wg0", "private-key", "/dev/stdin", stdin=private)
    one.configure(1)
    wait_until(one.reaches, 3, "the new key's session carries", every=0.2)


@pytest.mark.parametrize("kind", ("engine-engine", "engine-go", "go-engine"))
def test_item59_roaming(pair, kind):
    """The left host's port and address change. The right host answers to the packets' new source."""
    one = pair(kind).connect()
    one.hosts[0].run("wg", "set", "wg0", "listen-port", 40000)
    wait_until(one.reaches, 3, "the session goes on at once", every=0.2)
    assert one.show(1)["endpoint"] == "192.0.2.1:40000"
    if kind == "go-engine":
        return  # wireguard-go keeps a source address for some time after it is gone
    handshake = one.show(1)["handshake"]
    one.hosts[0].ip("addr add 192.0.2.77/24 dev eth0\naddr del 192.0.2.1/24 dev eth0\n"
                    "addr replace 192.0.2.77/24 dev eth0")
    wait_until(one.reaches, 10, "and from another address", every=0.2)
    assert one.show(1)["endpoint"] == "192.0.2.77:40000"
    assert one.show(1)["handshake"] == handshake
    # From IPv4 to IPv6.
    one.hosts[0].run("wg", "set", "wg0", "peer", one.keys[1][1], "endpoint", f"[2001:db8::2]:{PORT}")
    wait_until(one.reaches, 5, "and over the other family", every=0.2)
    assert one.show(1)["endpoint"] == "[2001:db8::1]:40000"


def test_item61_answers_come_from_the_address_that_was_called(pair):
    """The right host has two addresses. The second one is called, and it answers."""
    one = pair("engine-engine", endpoints=[f"192.0.2.1:{PORT}", f"192.0.2.99:{PORT}"])
    one.hosts[1].ip("addr add 192.0.2.99/24 dev eth0")
    one.connect()
    assert one.show(0)["endpoint"] == f"192.0.2.99:{PORT}"
    one.hosts[1].ip("addr del 192.0.2.99/24 dev eth0")  # the host must not keep a source address that is gone
    one.hosts[0].run("wg", "set", "wg0", "peer", one.keys[1][1], "endpoint", f"192.0.2.2:{PORT}")
    wait_until(one.reaches, 5, "the other address answers", every=0.2)
    assert one.show(0)["endpoint"] == f"192.0.2.2:{PORT}"


def test_item62_fwmark_chooses_the_routing_table(pair):
    one = pair("engine-engine").connect()
    host = one.hosts[0]
    host.ip("rule add fwmark 0x77 lookup 77\nroute add blackhole 192.0.2.2/32 table 77")
    host.run("wg", "set", "wg0", "fwmark", "0x77")
    assert not one.reaches()
    assert host.out("wg", "show", "wg0", "fwmark").strip() == "0x77"
    host.run("wg", "set", "wg0", "fwmark", "off")
    wait_until(one.reaches, 5, "without the mark the main table counts")


@pytest.mark.parametrize("kind", KINDS)
def test_every_size_passes(pair, kind):
    """One packet of each size up to the MTU, with MTUs from the smallest to a jumbo frame."""
    one = pair(kind).connect()
    for size in itertools.chain(range(0, 100, 7), range(1380, 1393)):
        assert one.reaches(size=size), size
    for mtu in (1280, 1333, 1420, 8920):
        for host in one.hosts:
            host.ip(f"link set eth0 mtu {max(1500, mtu + 80)}\nlink set wg0 mtu {mtu}")
        assert one.reaches(size=mtu - 28) and one.reaches(family=6, size=mtu - 48)
        serve_tcp(one.hosts[1])
        transfer(one.hosts[0], "10.9.0.2", MIB)


def test_item58_padding_stops_at_the_mtu(pair):
    """With an MTU that is no multiple of 16, no datagram is larger than MTU + 32."""
    one = pair("nogso-nogso")  # the filter would see a super-datagram as one large packet
    for host in one.hosts:
        host.ip("link set wg0 mtu 1300")
    one.connect()
    one.hosts[1].sh("nft 'table inet t { chain c { type filter hook input priority 0; "
                    f"udp dport {PORT} meta length > 1360 counter drop; }}; }}'")  # 1300 + 32 + 28
    assert one.reaches(size=1272)
    serve_tcp(one.hosts[1])
    transfer(one.hosts[0], "10.9.0.2", MIB)
    assert "packets 0 " in one.hosts[1].out("nft", "list", "table", "inet", "t")


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_that_loses_doubles_and_reorders(pair, kind):
    one = pair(kind, endpoints=["127.0.0.1:40001", "127.0.0.1:40001"])
    relay = one.hosts[0].spawn("mangle", PYTHON, WIRE / "mangle.py", 40001, "192.0.2.2", PORT,
                               0.01, 0.05, 0.05)
    wait_until(lambda: "relaying" in relay.output(), 10, "the relay is there")
    wait_until(one.reaches, 20, "the tunnel is up", every=0.2)
    serve_tcp(one.hosts[1])
    transfer(one.hosts[0], "10.9.0.2", MIB, timeout=60)


def flood(host, make, seconds, target="192.0.2.2"):
    """Sends datagrams of make(n) from `host`; returns how many were sent and how many came back."""
    script = f"""
import os, socket, struct, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(("{target}", {PORT})); s.setblocking(False)
end, sent, kinds = time.monotonic() + {seconds}, 0, []
while time.monotonic() < end:
    for _ in range(64):
        try:
            s.send({make}); sent += 1
        except OSError: pass
    try:
        while True: kinds.append(s.recv(2048)[0])
    except OSError: pass
time.sleep(0.3)
try:
    while True: kinds.append(s.recv(2048)[0])
except OSError: pass
print(sent, *sorted(set(kinds)))
"""
    return [int(word) for word in host.out(PYTHON, "-c", script, timeout=seconds + 30).split()]


GARBAGE = 'bytes([1 + sent % 4, 0, 0, 0]) + os.urandom((144, 88, 60, 1200)[sent % 4])'


@pytest.mark.timing
def test_item7_a_flood_of_garbage_gets_no_answer_and_stops_no_traffic(pair, tell):
    one = pair("engine-engine").connect()
    before = one.iperf(1)["end"]["sum_received"]["bits_per_second"]
    answers = []
    stranger = threading.Thread(target=lambda: answers.append(flood(one.hosts[0], GARBAGE, 3)))
    stranger.start()
    wait_until(lambda: f"192.0.2.2:{PORT}" in one.hosts[0].out("ss", "-Hun"), 10, "the stranger sends")
    during = one.iperf(2)["end"]["sum_received"]["bits_per_second"]
    stranger.join()
    sent, *kinds = answers[0]
    tell(f"flood of {sent / 3:.0f} datagrams/s: {before / 1e9:.2f} -> {during / 1e9:.2f} Gbit/s")
    assert kinds == [] and sent > 1000
    assert during > before / 5  # the flooder's process takes its share of the CPU, too


@pytest.mark.timing
def test_a_flood_of_initiations_by_strangers_leaves_the_traffic_its_share(pair, world, tell):
    """Well-formed initiations at line rate, with keys of no peer."""
    one = pair("engine-engine").connect()
    before = one.iperf(1)["end"]["sum_received"]["bits_per_second"]
    program, target = world.program("handshake_load"), f"192.0.2.2:{PORT}"
    load = one.hosts[0].spawn("flood", program, "flood", one.keys[1][1], target, 30)
    time.sleep(1)
    during = one.iperf(2)["end"]["sum_received"]["bits_per_second"]
    load.kill()
    tell(f"{before / 1e9:.2f} -> {during / 1e9:.2f} Gbit/s")
    # The flooder's process takes one core of two. The answers (cookies) take a share of the other.
    assert during > before / 5


@pytest.mark.timing
def test_items28_and_35_cookies_under_a_flood_of_initiations(pair, world):
    """The flooders have the public key. Once the load shows, they get only cookie replies (type 3), and a
    peer still gets its handshake."""
    one = pair("engine-engine", keepalive=1).connect()
    program = world.program("handshake_load")
    done = one.hosts[0].out(program, "flood", one.keys[1][1], f"192.0.2.2:{PORT}", 3, timeout=60)
    sent, responses, cookies, others = map(int, done.split())
    assert sent > 5000 and responses == 0 and others == 0 and cookies > 0
    assert one.reaches()
    # A peer that calls during the flood shows a cookie and is served.
    load = one.hosts[0].spawn("flood", program, "flood", one.keys[1][1], f"192.0.2.2:{PORT}", 8)
    time.sleep(1)
    one.hosts[0].run("wg", "set", "wg0", "peer", one.keys[1][1], "remove")
    one.configure(0)
    wait_until(one.reaches, 12, "the handshake gets through", every=0.2)
    load.kill()


@pytest.mark.timing
def test_a_flood_of_initiations_does_not_stand_before_the_answers_to_our_own(pair, world):
    """The flooded end starts the handshake. The kernel lets its peer's response pass and drops strangers'
    messages, by their index. It takes one more round trip: under load a response must show a cookie, too."""
    one = pair("engine-engine").connect()
    program = world.program("handshake_load")
    load = one.hosts[0].spawn("flood", program, "flood", one.keys[1][1], f"192.0.2.2:{PORT}", 30)
    time.sleep(1)
    one.hosts[1].run("wg", "set", "wg0", "peer", one.keys[0][1], "remove")
    one.configure(1)
    wait_until(lambda: one.reaches(start=1), 12, "its handshake gets through", every=0.2)
    load.kill()


def test_item49_counters_and_wg_show(pair):
    one = pair("engine-engine").connect()
    left, right = one.show(0), one.show(1)
    assert left["tx"] == right["rx"] and left["rx"] == right["tx"]
    assert one.hosts[0].out("wg", "show", "wg0", "peers").strip() == one.keys[1][1]
    text = one.hosts[0].out("wg", "showconf", "wg0")
    assert "AllowedIPs = " in text and one.keys[0][0] in text
    assert one.hosts[0].out("stat", "-c", "%a", "/run/wireguard/wg0.sock").strip() == "600"
    for wrong in ("set=1\nlisten_port=70000\n\n", "set=1\ncolour=red\n\n", "get=2\n\n", "\n\n", "x\n\n"):
        answer = one.hosts[0].run("socat", "-t", "2", "-", "UNIX-CONNECT:/run/wireguard/wg0.sock", stdin=wrong)
        assert answer.stdout.startswith("errno=-22\n"), (wrong, answer.stdout)
    one.hosts[0].run("wg", "set", "wg0", "peer", one.keys[1][1], "remove")
    assert one.hosts[0].out("wg", "show", "wg0", "peers") == ""


def test_item63_a_loop_is_bounded(pair):
    """The endpoint is reached through the tunnel itself: packets inside packets must not multiply."""
    one = pair("engine-engine").connect()
    one.hosts[0].run("wg", "set", "wg0", "peer", one.keys[1][1], "endpoint", f"10.9.0.2:{PORT}")
    before = one.show(0)["tx"]
    one.reaches()
    time.sleep(0.5)
    assert one.show(0)["tx"] - before < 200_000
