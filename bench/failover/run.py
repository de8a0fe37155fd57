#!/usr/bin/python3
"""Measures what each kind of fault costs. Two or three clusters run on this host, with UDP at 1 kHz and a TCP
session in both directions. Each fault is made and undone N times. Prints a table. --json FILE writes the raw
numbers, --plot FILE draws the packets that arrived around each fault (SVG). Needs root."""

import argparse
import json
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "e2e"))

from fabric.cluster import Cluster  # noqa: E402
from fabric.flat import FlatCluster  # noqa: E402
from fabric.site import Site, held, join  # noqa: E402
from fabric.traffic import Session, Stream, ping, report_of  # noqa: E402
from fabric.wait import wait_until  # noqa: E402
from fabric.world import World  # noqa: E402

from faults import FAULTS  # noqa: E402


def healthy(*sites):
    tunnels = 4 * (len(sites) - 1)
    for site in sites:
        for daemon in site.causeway.gateways + site.causeway.agents:
            wait_until(lambda daemon=daemon: daemon.running() and daemon.why_not_ready() == "", 30,
                       f"{daemon.name} is ready")
        wait_until(lambda site=site: len(site.causeway.tunnels()) == tunnels and all(
            t["state"] == "up" for _, t in site.causeway.tunnels()), 90, "all tunnels are up")
        wait_until(lambda site=site: not held(site), 90, "no gateway is in its hold-down")
    for one in sites:
        for other in sites:
            if one is not other:
                wait_until(lambda one=one, other=other: one.carrier_to(other) is not None and ping(
                    one.pod.machine, other.pod.ip), 60, f"{one.id} reaches {other.id}")


def fresh(meter):
    """Whether packets arrive. The receiver writes its records several times per second."""
    before = meter.records()[-1][0]
    time.sleep(0.6)
    return meter.records()[-1][0] > before


def carriers(sites):
    return [one.carrier_to(other) for one in sites for other in sites if one is not other]


def settle(sites, seconds):
    """Waits until no carrier has changed for `seconds`. After a restart, traffic returns to the preferred
    gateway when that one's hold-down has ended."""
    seen, since, end = carriers(sites), time.monotonic(), time.monotonic() + 60
    while time.monotonic() < since + seconds:
        assert time.monotonic() < end, "the carriers change again and again without a fault"
        time.sleep(0.2)
        if (now := carriers(sites)) != seen:
            seen, since = now, time.monotonic()


def carry_burden(fault, sites, meters, seconds):
    """How many carriers changed and how many packets were lost under the burden, before any fault."""
    settle(sites, 8)
    before, moves = carriers(sites), 0
    fault.burden(sites[0], True)
    began = time.monotonic()
    while (left := began + seconds - time.monotonic()) > 0:
        time.sleep(min(1, left))
        now = carriers(sites)
        if now != before:
            moves += sum(a != b for a, b in zip(before, now))
            print(f"  moved after {time.monotonic() - began:.0f} s: {before} -> {now}", flush=True)
        before = now
    time.sleep(1)
    return {"burden_s": seconds, "burden_moves": moves,
            "burden_lost": sum(report_of(meter.records()).lost for meter in meters)}


def one_run(fault, sites, minutes):
    """The outages in ms (there, back), packets lost, the longest waits of TCP, and the arrivals around the
    fault in bins of 10 ms. The first site has the fault. It is one end of the traffic unless the fault needs
    three clusters."""
    site = sites[0]
    if fault.prepare:
        fault.prepare(site)
    healthy(*sites)
    here, there = sites[fault.clusters - 2:][:2]
    ways = ((here, there), (there, here))
    sessions = [Session(a.pod.machine, b.pod.ip, 30 + 2 * fault.lasts) for a, b in ways]
    meters = [Stream(a.pod.machine, b.pod.machine, b.pod.ip, a.world.folder) for a, b in ways]
    time.sleep(0.5)
    carried = carry_burden(fault, sites, meters, 60 * minutes) if fault.burden else {}
    carrier = wait_until(lambda: (site.carrier_to(sites[1]),), 10, "a gateway carries")[0]
    site.fault_began = time.monotonic_ns()
    fault.put(site, carrier)
    if fault.lasts:
        time.sleep(fault.lasts)
        fault.heal(site, carrier)
    time.sleep(fault.settle - fault.lasts)
    # An outage that is not over yet is measured to its end.
    wait_until(lambda: all(fresh(meter) for meter in meters), 60, "traffic flows both ways")
    records = [meter.records() for meter in meters]
    reports = [meter.stop() for meter in meters]
    if not fault.lasts:
        fault.heal(site, carrier)
    if fault.burden:
        fault.burden(site, False)
    waits = [max(0, s.finish()[1] - fault.lasts * 1000) for s in sessions]
    if fault.restore:
        fault.restore(site)
    return {"site": site.id, **carried,
            "outage_ms": [max(0, r.outage_ms - fault.lasts * 1000) for r in reports],
            "lost": [max(0, r.lost - fault.lasts * 1000) for r in reports],
            "reordered": [r.reordered for r in reports], "tcp_wait_ms": waits,
            "arrivals": [bins(part, site.fault_began + fault.lasts * 10**9) for part in records]}


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
        waits = [ms for run in runs for ms in run["tcp_wait_ms"]]
        tcp = f"{max(waits):5.0f} ms" if waits else "       -"
        print(f"  {name:38} {percentile(outage, .5):7.0f} ms {percentile(outage, .99):7.0f} "
              f"{max(outage):7.0f}  {percentile(lost, .5):8.0f} {max(lost):6.0f}  {tcp}  "
              f"{len(runs)}")


def plot(rows, path):
    """One strip per fault: packets per 10 ms (0 to 10) of its slowest run, in both directions."""
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
    options = argparse.ArgumentParser(prog="./dev bench failover", description=__doc__)
    options.add_argument("--build", default="build/release")
    options.add_argument("--runs", type=int, default=20)
    options.add_argument("--clusters", type=int, choices=(2, 3), default=2)
    options.add_argument("--minutes", type=float, default=0.5,
                         help="how long a burden stays before the crash beside it (default 0.5)")
    options.add_argument("--overlay", choices=("vxlan", "wireguard"), default="vxlan")
    options.add_argument("--prefixes", choices=("node", "cluster"), default="node",
                         help="cluster: no node has a pod prefix, so one gateway carries all (default node)")
    options.add_argument("-k", metavar="WORD", default="",
                         help="only the fault of that name, or those with WORD in it")
    options.add_argument("--json", metavar="FILE")
    options.add_argument("--plot", metavar="FILE", type=pathlib.Path)
    options = options.parse_args()
    if os.geteuid() != 0:
        sys.exit("./dev bench failover makes network namespaces: run it as root")
    named = [fault for fault in FAULTS if fault.name == options.k] or FAULTS
    faults = [fault for fault in named
              if options.k in fault.name and fault.clusters <= options.clusters]
    if not faults:
        sys.exit(f"no fault has {options.k!r} in its name")
    rows, failed = {}, []
    with World(options.build) as world:
        print(f"raising {options.clusters} clusters", flush=True)
        network = {"node": Cluster, "cluster": FlatCluster}[options.prefixes]
        agent = {"log.level": "info", "overlay": options.overlay}
        if network is FlatCluster:
            agent["forwarding"] = "all"  # as the chart configures it: the pod network forwards, too
        sites = [Site(world, name, {"log.level": "info"}, agent, network=network)
                 for name in ("east", "west", "north")[:options.clusters]]
        world.sites = sites
        join(*sites)
        for fault in faults:
            for number in range(options.runs):
                turn = number % len(sites)
                try:
                    run = one_run(fault, sites[turn:] + sites[:turn], options.minutes)
                except AssertionError as error:
                    failed.append(f"{fault.name}, run {number + 1}: {error}")
                    print(f"  FAILED {failed[-1]}", flush=True)
                    break  # its remains would spoil the next run
                rows.setdefault(fault.name, []).append(run)
                if fault.burden:
                    print(f"  {fault.name}: {run['burden_s']:.0f} s without a fault: "
                          f"{run['burden_moves']} moves, {run['burden_lost']} lost", flush=True)
                print(f"  {fault.name} {number + 1}/{options.runs}: "
                      f"{'/'.join(f'{ms:.0f}' for ms in run['outage_ms'])} ms, "
                      f"{'/'.join(map(str, run['lost']))} lost, "
                      f"{'/'.join(map(str, run['reordered']))} reordered", flush=True)
                time.sleep(2.5)  # the hold-down of the fabric's configuration
            if failed:
                break
    table(rows)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(rows) + "\n")
    if options.plot:
        plot(rows, options.plot)
    if failed:
        sys.exit("\n".join(failed))


if __name__ == "__main__":
    main()
