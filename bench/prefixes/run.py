#!/usr/bin/python3
"""Measures what a cluster with many nodes and blocks costs the other one: the time until all prefixes are allowed
IPs and routes there, the bytes of the announcement at the start of a stream and of one change, the time of one change,
and the memory of gateways and route agents. Two clusters on this host; the nodes of the large one exist only in its
store. Needs root."""

import argparse
import ipaddress
import os
import pathlib
import re
import statistics
import sys
import time

E2E = pathlib.Path(__file__).resolve().parents[2] / "e2e"
sys.path.insert(0, str(E2E))

from fabric import objects  # noqa: E402
from fabric.site import Site, join  # noqa: E402
from fabric.wait import wait_until  # noqa: E402
from fabric.world import World  # noqa: E402

POOL = ipaddress.ip_network("10.64.0.0/10")
FEED = 4798


def resident(daemon):
    """MiB of the process."""
    status = pathlib.Path(f"/proc/{daemon.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024


class Scene:
    def __init__(self, east, west):
        self.east, self.west = east, west
        self.gateway = west.cluster.gateway_nodes[0].machine
        self.worker = west.cluster.workers[0].machine
        self.blocks = POOL.subnets(new_prefix=26)
        self.nodes = {}

    def write(self, name):
        number = int(name.rpartition("-")[2])
        self.east.store.put(objects.node(name, [f"172.21.{number // 250}.{number % 250 + 1}"],
                                         [str(block) for block in self.nodes[name]]))

    def add_block(self, name):
        block = next(self.blocks)
        self.nodes.setdefault(name, []).append(block)
        return str(block)

    def fill(self, nodes, blocks):
        """Writes nodes with so many blocks; returns all of them."""
        for n in range(nodes):
            name = f"worker-{n}"
            while len(self.nodes.get(name, ())) < blocks:
                self.add_block(name)
            self.write(name)
        return {str(block) for all_ in self.nodes.values() for block in all_}

    def allowed(self):
        words = self.gateway.out("wg", "show", "cw-wg", "allowed-ips").split()
        return {word for word in words if word.startswith("10.")}

    def routed(self):
        lines = self.worker.out("ip", "-4", "route", "show", "table", "7487").splitlines()
        return {line.split()[0] for line in lines if line.startswith("10.")}

    def wait_for(self, wanted):
        """Seconds until the other side's gateway and a node of it have them."""
        began, took = time.monotonic(), {}
        for what, there in (("allowed IPs", self.allowed), ("routes of a node", self.routed)):
            wait_until(lambda there=there: wanted <= there(), 600, f"{len(wanted)} prefixes are {what}", every=0.02)
            took[what] = time.monotonic() - began
        return took

    def feed_bytes(self):
        """Received by the gateway's connection to the other cluster's feed. Without a connection: 0."""
        said = self.gateway.out("ss", "-tinH", "dport", "=", f":{FEED}")
        return sum(int(n) for n in re.findall(r"bytes_received:(\d+)", said))

    def memory(self):
        return {"gateway of the large cluster": resident(self.east.causeway.gateways[0]),
                "route agent of the large cluster": resident(self.east.causeway.agents[-1]),
                "gateway of the other one": resident(self.west.causeway.gateways[0]),
                "route agent of the other one": resident(self.west.causeway.agents[-1])}


def show_memory(what, before, now):
    print(f"{what}: resident memory, MiB:")
    for name, value in now.items():
        print(f"  {name:34} {value:7.1f}  (before {before[name]:.1f})", flush=True)


def measure_start(scene):
    """Bytes of a stream's begin: the gateway starts again and hears all."""
    gateway = scene.west.causeway.gateways[0]
    gateway.kill()
    gateway.start()
    wait_until(lambda: gateway.why_not_ready() == "" and scene.feed_bytes() > 0, 60, "the gateway is back")
    time.sleep(5)
    first = scene.feed_bytes()
    time.sleep(5)
    idle = scene.feed_bytes() - first
    print(f"the start of a stream: {first - idle} bytes on its connection (without heartbeats: {idle / 5:.0f} bytes/s)",
          flush=True)
    return idle / 5


def measure_changes(scene, idle, count):
    took, sizes = [], []
    for n in range(count):
        name = f"worker-{n * 7 % len(scene.nodes)}"
        block = scene.add_block(name)
        before, began = scene.feed_bytes(), time.monotonic()
        scene.write(name)
        took.append(scene.wait_for({block}))
        time.sleep(1)
        sizes.append(scene.feed_bytes() - before - idle * (time.monotonic() - began))
    print(f"one more block of one node: {statistics.median(sizes):.0f} bytes (median of {count}, heartbeats left out)")
    for what in took[0]:
        times = sorted(one[what] * 1000 for one in took)
        print(f"  in the {what}: {statistics.median(times):.0f} ms (median; longest {times[-1]:.0f} ms)", flush=True)


def main():
    options = argparse.ArgumentParser(prog="./dev bench prefixes", description=__doc__)
    options.add_argument("--build", default="build/release")
    options.add_argument("--nodes", type=int, default=1000)
    options.add_argument("--blocks", type=int, default=4, help="of each node")
    options.add_argument("--more", type=int, default=10, help="blocks of each node at the end, for memory; 0: none")
    options.add_argument("--changes", type=int, default=5)
    options = options.parse_args()
    if os.geteuid() != 0:
        sys.exit("./dev bench prefixes makes network namespaces: run it as root")
    with World(options.build) as world:
        east, west = (Site(world, name, {"log.level": "info"}, {"log.level": "info"}, gateways=1, ipv6=False)
                      for name in ("east", "west"))
        join(east, west)
        west.store.put(east.causeway.as_peer([*east.cluster.pod_cidrs, str(POOL)]))
        scene = Scene(east, west)
        empty = scene.memory()
        began = time.monotonic()
        wanted = scene.fill(options.nodes, options.blocks)
        print(f"{options.nodes} nodes with {options.blocks} blocks: written in {time.monotonic() - began:.1f} s",
              flush=True)
        for what, seconds in scene.wait_for(wanted).items():
            print(f"  then {seconds:.1f} s until {len(wanted)} prefixes are {what}", flush=True)
        show_memory(f"{len(wanted)} prefixes", empty, scene.memory())
        idle = measure_start(scene)
        measure_changes(scene, idle, options.changes)
        if options.more > options.blocks:
            wanted = scene.fill(options.nodes, options.more)
            for what, seconds in scene.wait_for(wanted).items():
                print(f"{len(wanted)} prefixes: {seconds:.1f} s until they are {what}", flush=True)
            show_memory(f"{len(wanted)} prefixes", empty, scene.memory())


if __name__ == "__main__":
    main()
