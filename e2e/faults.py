#!/usr/bin/python3
"""Measures what every kind of fault costs: two clusters on this host, UDP at 1 kHz and a TCP session
both ways, the fault put in and taken away, N times each. Prints a table; --json FILE keeps the raw
numbers, --plot FILE draws the packets that arrived around each fault (SVG). Needs root.
"""

import argparse
import itertools
import json
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from fabric.site import Site, join  # noqa: E402
from fabric.traffic import Session, Stream  # noqa: E402
from fabric.wait import wait_until  # noqa: E402
from fabric.world import World  # noqa: E402

WIREGUARD, VXLAN = 4500, 4799


class Fault:
    """What `put` does to the gateway that carries the traffic of `site`, and `heal` undoes.
    `settle`: seconds to go on measuring."""

    def __init__(self, name, put, heal, settle=1.5):
        self.name, self.put, self.heal, self.settle = name, put, heal, settle


def gateway_node(site, ordinal):
    return site.cluster.gateway_nodes[ordinal].machine


def block(machine, rules):
    """Drops what matches, before and after everything else on the machine."""
    chains = "".join(
        f"chain {hook} {{ type filter hook {hook} priority -500; {rule}; }}\n"
        for hook, rule in rules)
    machine.sh(f"nft -f - <<'EOF'\ntable inet fault {{\n{chains}}}\nEOF")


def unblock(machine):
    machine.sh("nft delete table inet fault")


def on_gateway(rules):
    return (lambda site, n: block(gateway_node(site, n), rules),
            lambda site, n: unblock(gateway_node(site, n)))


def worker_path(site, n):
    address = site.cluster.gateway_nodes[n].ip
    block(site.pod.node.machine,
          [("input", f"udp dport {VXLAN} ip saddr {address} drop"),
           ("output", f"udp dport {VXLAN} ip daddr {address} drop")])


def restart_both(site, _):
    for gateway in site.causeway.gateways:
        gateway.kill()
    for gateway in site.causeway.gateways:
        gateway.start()


def nothing(_site, _ordinal):
    pass


WAN = [("input", f"udp dport {WIREGUARD} drop"), ("output", f"udp dport {WIREGUARD} drop")]
LOSSY = [("input", f"udp dport {WIREGUARD} numgen random mod 100 < 30 drop"),
         ("output", f"udp dport {WIREGUARD} numgen random mod 100 < 30 drop")]
FAULTS = [
    Fault("gateway process killed", lambda s, n: s.causeway.gateways[n].kill(),
          lambda s, n: s.causeway.gateways[n].start()),
    Fault("gateway node gone", Site.crash_gateway, Site.recover_gateway),
    Fault("gateway frozen", lambda s, n: s.causeway.gateways[n].process.pause(),
          lambda s, n: s.causeway.gateways[n].process.resume()),
    Fault("WAN link of the gateway cut", *on_gateway(WAN)),
    Fault("WAN cut, inward only", *on_gateway(WAN[:1])),
    Fault("WAN cut, outward only", *on_gateway(WAN[1:])),
    Fault("node's path to the gateway cut", worker_path,
          lambda s, n: unblock(s.pod.node.machine)),
    Fault("30 % loss on the gateway's WAN link", *on_gateway(LOSSY), settle=3),
    Fault("both gateways restarted at once", restart_both, nothing, settle=4),
    Fault("planned stop", lambda s, n: s.causeway.gateways[n].stop(),
          lambda s, n: s.causeway.gateways[n].start()),
]


def healthy(*sites):
    for site in sites:
        for daemon in site.causeway.gateways + site.causeway.agents:
            wait_until(lambda daemon=daemon: daemon.running() and daemon.why_not_ready() == "", 30,
                       f"{daemon.name} is ready")
        wait_until(lambda site=site: len(site.causeway.tunnels()) == 4 and all(
            t["state"] == "up" for _, t in site.causeway.tunnels()), 60, "all tunnels are up")


def fresh(meter):
    """Packets arrive. (The receiver writes its records several times a second.)"""
    before = meter.records()[-1][0]
    time.sleep(0.6)
    return meter.records()[-1][0] > before


def session(here, there):
    return Session(here.pod.machine, there.pod.ip)


def one_run(fault, site, other):
    """The outages in ms (there, back), packets lost, the longest waits of TCP, and the arrivals
    around the fault in bins of 10 ms."""
    healthy(site, other)
    ways = ((site, other), (other, site))
    sessions = [session(*way) for way in ways]
    meters = [Stream(a.pod.machine, b.pod.machine, b.pod.ip, a.world.folder) for a, b in ways]
    time.sleep(0.5)
    carrier = wait_until(lambda: (site.carrier_to(other),), 10, "a gateway carries")[0]
    began = time.monotonic_ns()
    fault.put(site, carrier)
    time.sleep(fault.settle)
    # An outage that still lasts is measured to its end.
    wait_until(lambda: all(fresh(meter) for meter in meters), 30, "traffic flows both ways")
    records = [meter.records() for meter in meters]
    reports = [meter.stop() for meter in meters]
    fault.heal(site, carrier)
    waits = [s.finish()[1] for s in sessions]
    return {"site": site.id, "outage_ms": [r.outage_ms for r in reports],
            "lost": [r.lost for r in reports], "tcp_wait_ms": waits,
            "arrivals": [bins(part, began) for part in records]}


def bins(records, began, before=50, after=150):
    """Packets per 10 ms, from half a second before the fault."""
    counts = [0] * (before + after)
    for _, _, arrived in records:
        at = (arrived - began) // 10_000_000 + before
        if 0 <= at < len(counts):
            counts[at] += 1
    return counts


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def table(rows):
    print(f"\n  {'fault':38} {'outage p50':>10} {'p99':>7} {'max':>7}  {'lost p50':>8} {'max':>6}  "
          f"{'TCP max':>8}  runs")
    for name, runs in rows.items():
        outage = [ms for run in runs for ms in run["outage_ms"]]
        lost = [n for run in runs for n in run["lost"]]
        tcp = max((ms for run in runs for ms in run["tcp_wait_ms"]), default=0)
        print(f"  {name:38} {percentile(outage, .5):7.0f} ms {percentile(outage, .99):7.0f} "
              f"{max(outage):7.0f}  {percentile(lost, .5):8.0f} {max(lost):6.0f}  {tcp:5.0f} ms  "
              f"{len(runs)}")


def plot(rows, path):
    """One strip a fault: packets per 10 ms (0 to 10) of its slowest run, both ways."""
    width, height, left = 900, 46, 250
    lines = []
    for index, (name, runs) in enumerate(rows.items()):
        worst = max(runs, key=lambda run: max(run["outage_ms"]))
        base = (index + 1) * height
        lines.append(f'<text x="4" y="{base - 14}">{name}</text>')
        for way, colour in zip(worst["arrivals"], ("#1f77b4", "#d62728")):
            step = (width - left) / len(way)
            points = " ".join(f"{left + i * step:.1f},{base - 4 - min(n, 12) * 2.6:.1f}"
                              for i, n in enumerate(way))
            lines.append(f'<polyline points="{points}" fill="none" stroke="{colour}"/>')
    fault_at = left + (width - left) * 50 / 200
    total = (len(rows) + 1) * height
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {total}" '
        f'font-family="sans-serif" font-size="13"><rect width="100%" height="100%" fill="white"/>'
        f'<line x1="{fault_at}" x2="{fault_at}" y1="0" y2="{total - height}" stroke="#999" '
        f'stroke-dasharray="4"/>{"".join(lines)}<text x="{left}" y="{total - 12}">packets of 1 kHz '
        f'UDP that arrived per 10 ms, 0.5 s before to 1.5 s after the fault; slowest run; blue '
        f'there, red back</text></svg>\n')


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--build", default="build/release")
    options.add_argument("--runs", type=int, default=20)
    options.add_argument("-k", metavar="WORD", default="", help="only faults with WORD in the name")
    options.add_argument("--json", metavar="FILE")
    options.add_argument("--plot", metavar="FILE", type=pathlib.Path)
    options = options.parse_args()
    if os.geteuid() != 0:
        sys.exit("faults.py makes network namespaces: run it as root")
    faults = [fault for fault in FAULTS if options.k in fault.name]
    if not faults:
        sys.exit(f"faults.py: no fault has {options.k!r} in its name")
    rows = {}
    with World(options.build) as world:
        print("raising two clusters", flush=True)
        east, west = (Site(world, name, {"log.level": "info"}, {"log.level": "info"})
                      for name in ("east", "west"))
        join(east, west)
        for fault in faults:
            for number, (site, other) in zip(range(options.runs),
                                             itertools.cycle(((east, west), (west, east)))):
                run = one_run(fault, site, other)
                rows.setdefault(fault.name, []).append(run)
                print(f"  {fault.name} {number + 1}/{options.runs}: "
                      f"{'/'.join(f'{ms:.0f}' for ms in run['outage_ms'])} ms, "
                      f"{'/'.join(map(str, run['lost']))} lost", flush=True)
                time.sleep(2.5)  # the hold-down of the fabric's configuration
    table(rows)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(rows) + "\n")
    if options.plot:
        plot(rows, options.plot)


if __name__ == "__main__":
    main()
