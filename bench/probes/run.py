#!/usr/bin/python3
"""Measures what the probes of many nodes cost a gateway with the engine, in percent of one core of its
process: probes that end on it, as from N nodes with two claims each, and probes through it. Two clusters on
this host. Needs root."""

import argparse
import os
import pathlib
import sys
import time

E2E = pathlib.Path(__file__).resolve().parents[2] / "e2e"
sys.path[:0] = [str(E2E), str(E2E / "fabric/wire")]

import probe  # noqa: E402

from fabric.site import Site, join, link_local  # noqa: E402
from fabric import objects  # noqa: E402
from fabric.traffic import PYTHON, WIRE  # noqa: E402
from fabric.wait import wait_until  # noqa: E402
from fabric.world import World  # noqa: E402

THROUGH = """
import socket, sys, time
source, target, hertz, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
out.bind((source, 4790))
out.setblocking(False)
packet = b"CWE4" + bytes([1]) + bytes(1387)
began, came = time.monotonic(), 0
for n in range(int(hertz * seconds)):
    time.sleep(max(0, began + n / hertz - time.monotonic()))
    out.sendto(packet, (target, 4795))
    try:
        while out.recv(2000):
            came += 1
    except BlockingIOError:
        pass
print(came, "of", int(hertz * seconds))
"""


def seconds_of(daemon):
    fields = pathlib.Path(f"/proc/{daemon.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def make_nodes(site, others, count):
    """Makes nodes that exist only in the store, each with a key and prefixes of its own, and makes the other
    clusters accept the prefixes. Returns what the flood needs of them."""
    lines, known = [], set()
    for n in range(count):
        name, private = f"asks-{n}", probe.new_private()
        prefixes = [f"10.{64 + n // 256}.{n % 256}.0/24", f"fd00:64:{n + 1:x}::/64"]
        site.store.put(objects.node(name, [f"172.21.{n // 250}.{n % 250 + 1}"], prefixes))
        site.store.put({"apiVersion": "causeway.dev/v1alpha1", "kind": "RouteAgent",
                        "metadata": {"name": name},
                        "spec": {"node": name, "publicKey": probe.public_of(private)}})
        lines.append(f"{name} {private}")
        known.update(prefixes)
    allowed = [*site.cluster.pod_cidrs, "10.64.0.0/12", "fd00:64::/32"]
    for other in others:
        other.store.put(site.causeway.as_peer(allowed))
        wait_until(lambda other=other: known <= set(
            other.store.get("ClusterPeer", site.id)["status"]["cidrs"]), 60,
            f"{other.id} accepts the prefixes of {count} nodes", every=1)
    return "\n".join(lines)


class Costs:
    def __init__(self, gateways, seconds):
        self.gateways, self.seconds = gateways, seconds

    def of(self, machine, *command, stdin=None):
        """Percent of a core for each gateway while the command runs, and the command's output."""
        before, began = [seconds_of(g) for g in self.gateways], time.monotonic()
        said = machine.out(*command, timeout=self.seconds + 60, stdin=stdin).strip().splitlines()[-1:]
        lasted = time.monotonic() - began
        return [(seconds_of(g) - b) / lasted * 100 for g, b in zip(self.gateways, before)], said

    def show(self, what, idle, measured):
        busy, said = measured
        print(f"{what}: {' '.join(said)} came back; percent of a core:")
        for gateway, before, during in zip(self.gateways, idle, busy):
            print(f"  {gateway.name:36} idle {before:5.1f}  during {during:5.1f}", flush=True)


def main():
    options = argparse.ArgumentParser(prog="./dev bench probes", description=__doc__)
    options.add_argument("--build", default="build/release")
    options.add_argument("--seconds", type=float, default=20)
    options.add_argument("--nodes", type=int, default=1000)
    options.add_argument("--interval", type=float, default=230, help="ms between a node's probes")
    options.add_argument("--hertz", type=int, default=400,
                         help="of all nodes' probes through a gateway (probe.md)")
    options = options.parse_args()
    if os.geteuid() != 0:
        sys.exit("./dev bench probes makes network namespaces: run it as root")
    with World(options.build) as world:
        east, west = (Site(world, name, {"log.level": "info"}, {"log.level": "info"})
                      for name in ("east", "west"))
        join(east, west)
        node = east.pod.node
        routes = node.machine.out("ip", "-4", "route", "show", "table", "7487").splitlines()
        target, source = next((line.split()[0], line.split("src")[1].split()[0])
                              for line in routes if "nhid" not in line and "src" in line)
        costs = Costs(east.causeway.gateways + west.causeway.gateways, options.seconds)
        time.sleep(2)
        idle, _ = costs.of(node.machine, "sleep", options.seconds)
        costs.show(f"{options.hertz}/s through one gateway", idle, costs.of(
            node.machine, PYTHON, "-c", THROUGH, source, target, options.hertz, options.seconds))
        nodes = make_nodes(east, [west], options.nodes)
        time.sleep(10)
        idle, _ = costs.of(node.machine, "sleep", options.seconds)
        east.causeway.agent_of(node).stop()  # frees its port; its kernel objects stay
        costs.show(f"{options.nodes} nodes ask one gateway", idle, costs.of(
            node.machine, PYTHON, WIRE / "probe_flood.py", link_local(east.cluster.gateway_nodes[0]),
            east.store.get("TunnelGateway", "gateway-0")["spec"]["publicKey"], "west", options.interval,
            options.seconds, stdin=nodes))


if __name__ == "__main__":
    main()
