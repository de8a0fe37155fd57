"""The packets of attackers, built layer by layer, and the count of those that arrive.

    packet = udp("10.41.3.9", "10.42.3.7", 4000, 4000, token)
    forge(stranger, [udp(worker.ip, gateway.ip, 5000, 4799, vxlan(packet, mac_a, mac_b, vni))])

A Catcher on the victim counts the frames that carry the token.
"""

import ipaddress
import itertools
import struct

from fabric.traffic import PYTHON, WIRE
from fabric.wait import wait_until

UDP, TCP, ICMP6 = 17, 6, 58
_tokens = itertools.count(1)


def token():
    """A text that is in no other packet of this run."""
    return f"forged-{next(_tokens):06d}-packet"


def checksum(data):
    """The Internet checksum (RFC 1071)."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ip(source, target, protocol, body):
    """A whole IP packet of the addresses' family."""
    source, target = ipaddress.ip_address(source), ipaddress.ip_address(target)
    if source.version == 6:
        return struct.pack("!IHBB", 6 << 28, len(body), protocol, 64) + source.packed + target.packed + body
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, 64, protocol, 0)
    total = checksum(head + source.packed + target.packed)
    return head[:10] + struct.pack("!H", total) + source.packed + target.packed + body


def udp(source, target, source_port, target_port, payload):
    """A UDP packet with a correct checksum."""
    payload = payload.encode() if isinstance(payload, str) else payload
    a, b = ipaddress.ip_address(source), ipaddress.ip_address(target)
    head = struct.pack("!HHH", source_port, target_port, 8 + len(payload))
    if a.version == 6:
        pseudo = a.packed + b.packed + struct.pack("!II", 8 + len(payload), UDP)
    else:
        pseudo = a.packed + b.packed + struct.pack("!BBH", 0, UDP, 8 + len(payload))
    total = checksum(pseudo + head + b"\0\0" + payload) or 0xffff
    return ip(source, target, UDP, head + struct.pack("!H", total) + payload)


def tcp_syn(source, target, source_port, target_port):
    """The first segment of a connection."""
    a, b = ipaddress.ip_address(source), ipaddress.ip_address(target)
    head = struct.pack("!HHIIBBHHH", source_port, target_port, 1, 0, 5 << 4, 2, 64240, 0, 0)
    if a.version == 6:
        pseudo = a.packed + b.packed + struct.pack("!II", len(head), TCP)
    else:
        pseudo = a.packed + b.packed + struct.pack("!BBH", 0, TCP, len(head))
    total = checksum(pseudo + head)
    return ip(source, target, TCP, head[:16] + struct.pack("!H", total) + head[18:])


def vxlan(packet, source_mac, target_mac, vni):
    """The payload of a VXLAN datagram (RFC 7348) that carries the IP packet."""
    kind = 0x0800 if packet[0] >> 4 == 4 else 0x86dd
    frame = mac(target_mac) + mac(source_mac) + struct.pack("!H", kind) + packet
    return struct.pack("!II", 0x08000000, vni << 8) + frame


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def forge(machine, packets, count=4, hertz=200):
    """Sends each packet `count` times from the machine. Returns how many left it."""
    done = machine.run(PYTHON, WIRE / "forge.py", count, hertz,
                       stdin="\n".join(packet.hex() for packet in packets),
                       timeout=30 + count * len(packets) / hertz)
    return int(done.stdout.split()[-1])


class Catcher:
    """Counts the frames with `text` that reach the machine, from now on. Use with `with`."""

    def __init__(self, machine, text):
        self._process = machine.spawn(f"catch-{text}", PYTHON, WIRE / "catch.py", text)
        wait_until(lambda: "listening" in self._process.output(), 10, "the catcher listens")

    @property
    def count(self):
        last = self._process.output().split()[-1]
        return int(last) if last.isdigit() else 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()


def beside_the_nodes(world, cluster, *routes):
    """A host on the network of the cluster's nodes that is not one of them."""
    host = world.machine("neighbour")
    world.link(host, "eth0", cluster.edge, "neighbour")
    cluster.edge.ip("link set neighbour master br0 up")
    host.ip("\n".join(("link set eth0 up", "addr add 172.20.1.200/24 dev eth0",
                       "addr add fd00:20:1::200/64 dev eth0 nodad",
                       *(f"route add {route}" for route in routes))))
    return host


class VxlanDevice:
    """A node's cw-vx, as an attacker with full knowledge can compute it."""

    def __init__(self, node):
        shown = node.machine.out("ip", "-d", "link", "show", "cw-vx")
        words = shown.split()
        self.mac = words[words.index("link/ether") + 1]
        self.vni = int(words[words.index("id") + 1])
        self.port = int(words[words.index("dstport") + 1])
