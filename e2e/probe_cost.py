#!/usr/bin/python3
"""What the probes of 1,000 nodes cost a gateway: two clusters on this host; a worker sends through one
gateway as many full-size probes as all nodes together would, and the processor time of that gateway
and of the remote ones is read. Needs root.
"""

import argparse
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from fabric.site import Site, join  # noqa: E402
from fabric.traffic import PYTHON  # noqa: E402
from fabric.world import World  # noqa: E402

FLOOD = """
import socket, sys, time
source, target, hertz, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
out.bind((source, 4790))
out.setblocking(False)
packet = b"CWE1" + bytes([1]) + bytes(1387)
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


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--build", default="build/release")
    options.add_argument("--seconds", type=float, default=20)
    options.add_argument("--hertz", type=int, default=400, help="of all nodes (probe.md)")
    options = options.parse_args()
    if os.geteuid() != 0:
        sys.exit("probe_cost.py makes network namespaces: run it as root")
    with World(options.build) as world:
        east, west = (Site(world, name, {"log.level": "info"}, {"log.level": "info"})
                      for name in ("east", "west"))
        join(east, west)
        node = east.pod.node
        routes = node.machine.out("ip", "-4", "route", "show", "table", "7487").splitlines()
        target, source = next((line.split()[0], line.split("src")[1].split()[0])
                              for line in routes if "nhid" not in line and "src" in line)
        gateways = east.causeway.gateways + west.causeway.gateways

        def cost(flood):
            before = [seconds_of(gateway) for gateway in gateways]
            came = ""
            if flood:
                came = node.machine.out(PYTHON, "-c", FLOOD, source, target, options.hertz,
                                        options.seconds, timeout=options.seconds + 30).strip()
            else:
                time.sleep(options.seconds)
            after = [seconds_of(gateway) for gateway in gateways]
            return [(b - a) / options.seconds * 100 for a, b in zip(before, after)], came

        time.sleep(2)
        idle, _ = cost(False)
        busy, came = cost(True)
    print(f"{options.hertz}/s through one gateway, {came} came back; percent of a core:")
    for gateway, before, during in zip(gateways, idle, busy):
        print(f"  {gateway.name:36} idle {before:5.1f}  during {during:5.1f}")


if __name__ == "__main__":
    main()
