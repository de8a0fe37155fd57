"""A stranger on the WAN that sends to one cluster's pods all the time, as if its packets came from pods of
another cluster.

It sends the packets plain, and inside VXLAN packets from one node's address to another's. The VNI and the
MACs are those that can be computed without the cluster's secret. The cluster's edge has a route to each
node's pods, as a cloud's route table has. So only the nodes themselves keep the packets from the pods.
"""

import hashlib
import ipaddress

from fabric.attack import token, udp, vxlan
from fabric.traffic import PYTHON, WIRE
from fabric.wait import wait_until

PORT = 4999
HERTZ = 200
VXLAN_PORT, PUBLIC_VNI = 4799, 17239
BROADCAST = "ff:ff:ff:ff:ff:ff"
MANY = 10_000_000  # in effect until it is stopped


class Forger:
    """Use with `with`. delivered() names the pods that got a forged packet."""

    def __init__(self, victim, other):
        world, self._text = victim.world, token()
        self._open_the_way(victim.cluster)
        pods = [(pod, family) for pod in victim.pods for family in victim.families]
        self._receivers = {}
        for pod in victim.pods:
            receiver = pod.machine.spawn("forged", "socat", "-u",
                                         f"UDP6-RECV:{PORT},ipv6only=0", "STDOUT")
            wait_until(lambda pod=pod: f":{PORT}" in pod.machine.out("ss", "-Hlun"), 10,
                       "the receiver listens")
            self._receivers[pod] = receiver
        packets = []
        for pod, family in pods:
            source = beside(other.pod.address(family))
            world.watch.forged(source)
            packet = udp(source, pod.address(family), PORT, PORT, self._text)
            packets.append(packet)
            packets += wrapped(packet, victim.cluster, pod.node)
        file = victim.cluster.folder / f"{self._text}.hex"
        file.write_text("\n".join(packet.hex() for packet in packets))
        self._sender = world.wan.spawn(f"forge-{victim.id}", "sh", "-c",
                                       f'exec "$0" "$@" < {file}', PYTHON, WIRE / "forge.py", MANY,
                                       HERTZ)

    @staticmethod
    def _open_the_way(cluster):
        i = cluster.number
        ways, edge = [f"route replace {cluster.pod_cidr} via 192.0.2.{4 * i + 1}"], []
        if cluster.ipv6:
            ways.append(f"route replace {cluster.pod_cidr6} via fd00:ff:{i}::1")
        for node in cluster.nodes:
            edge.append(f"route replace {node.pod_cidr} via {node.ip}")
            if cluster.ipv6:
                edge.append(f"route replace {node.pod_cidr6} via {node.ip6}")
        cluster.world.wan.ip("\n".join(ways))
        cluster.edge.ip("\n".join(edge))

    def delivered(self):
        """Names of the pods that got a forged packet."""
        assert self._sender.alive(), self._sender.output()[-2000:]
        return [pod.name for pod, receiver in self._receivers.items()
                if self._text in receiver.output()]

    def arrived(self, node):
        """The number of forged packets that reached the node and that it dropped."""
        shown = node.machine.out("nft", "list", "counter", "inet", "causeway-closed", "arriving")
        return int(shown.split("packets")[1].split()[0])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._sender.kill()
        for receiver in self._receivers.values():
            receiver.kill()


def wrapped(packet, cluster, node):
    """The packet as another node of the cluster would send it to this one over cw-vx."""
    other = next(one for one in cluster.nodes if one is not node)
    return [udp(other.ip, node.ip, 40000, VXLAN_PORT,
                vxlan(packet, public_mac(other), mac, PUBLIC_VNI))
            for mac in (public_mac(node), BROADCAST)]


def public_mac(node):
    digest = hashlib.sha256(b"causeway vxlan" + ipaddress.ip_address(node.ip).packed).digest()
    return "02:" + digest[:5].hex(":")


def beside(address):
    """An address of no pod in the same node's prefix."""
    given = ipaddress.ip_address(address)
    return str(type(given)(int(given) - (int(given) & 0xff) + 0xfa))
