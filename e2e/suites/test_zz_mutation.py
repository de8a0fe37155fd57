"""What others do to a node around us: claims of gateways' addresses, rules of CNIs, hardened hosts, a
kube-proxy on the host, a gateway that moves. Tried after public bug reports of such systems."""

import pytest

from fabric import objects
from fabric.ctl import ctl
from fabric.site import Site, join, wait_until_reached
from fabric.traffic import PYTHON, ping, transfer
from fabric.wait import stays_true, wait_until

def reached(east, west):
    return ping(east.pod.machine, west.pod.ip) and ping(west.pod.machine, east.pod.ip)


CONNECT = """import errno, socket, sys, time
begun = time.monotonic()
try:
    socket.create_connection((sys.argv[1], 7000), timeout=5)
except OSError as error:
    print(errno.errorcode.get(error.errno, error), time.monotonic() - begun)
"""


def refusal(machine, address):
    """What a program on the host itself is told when it connects, and after how many seconds."""
    words = machine.out(PYTHON, "-c", CONNECT, address).split()
    assert len(words) == 2, f"connected to {address}, or waited in vain: {words}"
    return words[0], float(words[1])


def test_mutant_a_host_without_an_address_in_its_pod_prefix_is_refused_in_words(own_world):
    """Calico and Cilium: pods have routes of their own, and the host has no address among them."""
    east, west = Site(own_world, "east"), Site(own_world, "west")
    join(east, west)
    node = east.pod.node
    bridge = node.machine.out("cat", "/sys/class/net/cni0/address").strip()
    node.machine.ip(f"addr del {node.bridge_ip}/24 dev cni0\naddr del {node.bridge_ip6}/64 dev cni0\n"
                    f"route add {node.pod_cidr} dev cni0\nroute add {node.pod_cidr6} dev cni0")
    east.pod.machine.ip(f"neigh replace {node.bridge_ip} lladdr {bridge} dev eth0\n"
                        f"neigh replace {node.bridge_ip6} lladdr {bridge} dev eth0")

    def served():
        return east.store.conditions("RouteAgent", node.name).get("HostServed", {})
    wait_until(lambda: served().get("status") == "False", 10, "the agent says so")
    assert node.pod_cidr in served()["message"] and "Give one of its devices an address" in served()["message"]
    print(node.machine.out("nft", "list", "table", "inet", "causeway"))
    node.machine.sh("nft flush chain inet causeway host-refused")
    for address, words in ((west.pod.ip, "Packet filtered"), (west.pod.ip6, "Administratively prohibited")):
        told = node.machine.run("ping", "-n", "-c", "1", "-W", "5", address, check=False)
        print("TOLD", words in told.stdout, told.stdout)
        print("CONNECT", node.machine.run(PYTHON, "-c", CONNECT, address, check=False).stdout)
        why, seconds = refusal(node.machine, address)
        assert why in ("EHOSTUNREACH", "EACCES", "ECONNREFUSED") and seconds < 2, f"{why} after {seconds:.1f} s"
    stays_true(lambda: reached(east, west), 3, "its pods go on")


