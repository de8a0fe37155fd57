#!/usr/bin/python3
"""Measures what every kind of fault costs: two or three clusters on this host, UDP at 1 kHz and a TCP session
both ways, the fault put in and taken away, N times each. Prints a table; --json FILE keeps the raw
numbers, --plot FILE draws the packets that arrived around each fault (SVG). Needs root.
"""

import argparse
import datetime
import json
import os
import pathlib
import shutil
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from fabric.daemons import GATEWAY, Daemon  # noqa: E402
from fabric.site import Site, join  # noqa: E402
from fabric.slow_disk import SlowDisk  # noqa: E402
from fabric.traffic import Session, Stream, ping, report_of  # noqa: E402
from fabric.wait import wait_until  # noqa: E402
from fabric.world import World  # noqa: E402

WIREGUARD = 4500
HOP = "{ 4794, 4799 }"  # WireGuard or VXLAN between node and gateway


class Fault:
    """What `put` does to the gateway that carries the traffic of `site`, and `heal` undoes.
    `settle`: seconds to go on measuring; `lasts`: seconds of them in which nothing can flow, which
    are not counted; then `heal` comes before the end of the measurement. `prepare` and `restore`:
    before and after it all. `clusters`: how many it takes; with three, the traffic is between the
    two others. `burden(site, True)` begins something that must move nothing and lose nothing. It
    stays for --minutes before the fault and ends with `burden(site, False)` after it."""

    def __init__(self, name, put, heal, settle=1.5, lasts=0, prepare=None, restore=None,
                 clusters=2, burden=None):
        self.name, self.put, self.heal, self.settle, self.lasts = name, put, heal, settle, lasts
        self.prepare, self.restore, self.clusters = prepare, restore, clusters
        self.burden = burden


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
          [("input", f"udp dport {HOP} ip saddr {address} drop"),
           ("output", f"udp dport {HOP} ip daddr {address} drop")])


def restart_both(site, _):
    for gateway in site.causeway.gateways:
        gateway.kill()
    for gateway in site.causeway.gateways:
        gateway.start()


def nothing(*_):
    pass


def no_forwarding(site, n):
    """The route agent sets it back when it looks; the fault is as obstinate."""
    said = gateway_node(site, n).sh(
        "(while :; do echo 0 > /proc/sys/net/ipv4/ip_forward; sleep 0.01; done) >/dev/null 2>&1 & "
        "echo $!")
    site.obstinate = said.strip()


def forwarding(site, n):
    gateway_node(site, n).sh(f"kill {site.obstinate}; sysctl -qw net.ipv4.ip_forward=1")


def stores(site):
    return [cluster.store.folder for cluster in site.world.clusters.values()]


def crash_without_stores(site, n):
    for folder in stores(site):
        folder.rename(folder.with_name("store-away"))
    time.sleep(1)
    site.fault_began = time.monotonic_ns()
    site.crash_gateway(n)


def stores_back(site, n):
    for folder in stores(site):
        shutil.rmtree(folder, ignore_errors=True)  # what a daemon made meanwhile
        folder.with_name("store-away").rename(folder)
    site.recover_gateway(n)


def partition(site, _):
    site.cluster.edge.sh("nft 'table inet fault { chain cut { type filter hook forward "
                         f"priority -500; udp dport {WIREGUARD} drop; }}; }}'")


def clocks(site):
    return site.cluster.folder / "clock"


def with_clock(site, env):
    for daemon in site.causeway.gateways + site.causeway.agents:
        daemon.stop()
        daemon.env = env
        daemon.start()


def prepare_clock(site, hours=0):
    """Daemons whose clock a file moves; time as it passes (monotonic) stays what it is."""
    clocks(site).write_text(f"{hours:+}h\n")
    library = next(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    with_clock(site, {"LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(clocks(site)),
                      "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_NO_CACHE": "1"})


def jump(hours):
    """The clock of one cluster's daemons. What they write shows that it did jump."""
    def put(site, _):
        clocks(site).write_text(f"{hours:+}h\n")
        wait_until(lambda: hours_off(site, hours), 10, f"leases are {hours:+} h off")
    return put


def hours_off(site, hours):
    """The import Lease, once a daemon renewed it with a clock that is `hours` off."""
    for lease in site.store.list("Lease"):
        renewed = datetime.datetime.fromisoformat(lease["spec"]["renewTime"].replace("Z", "+00:00"))
        off = renewed.timestamp() - time.time() - hours * 3600
        if lease["metadata"]["name"] == "causeway-import" and abs(off) < 60:
            return lease
    return None


def gateway_added(site, _):
    """A third one, on the worker, paired as an administrator does it; then it goes for good."""
    node, causeway = site.cluster.workers[0], site.causeway
    config = dict(causeway.gateways[0].config, ordinal=2, node=node.name)
    added = Daemon(site.world, node.machine, GATEWAY, config, site.cluster.folder)
    causeway.gateways.append(added)
    site.cluster.gateway_nodes.append(node)
    others = [c for c in site.world.clusters.values() if c is not site.cluster]
    try:
        added.start()
        for other in others:
            other.store.put(causeway.as_peer())
        wait_until(lambda: sum(n == 2 and t["state"] == "up" for n, t in causeway.tunnels())
                   == 2 * len(others), 20, "its tunnels are up")
        time.sleep(4)
        added.stop()
    finally:
        causeway.gateways.remove(added)
        site.cluster.gateway_nodes.remove(node)
    site.store.remove("Gateway", "gateway-2")
    for other in others:
        other.store.put(causeway.as_peer())
    added.cleanup()


def with_env(sites, env):
    for site in sites:
        for daemon in site.causeway.gateways + site.causeway.agents:
            daemon.stop()
            daemon.env = env
            daemon.start()


def all_sites(site):
    return site.world.sites


def on_slow_disks(site):
    with_env(all_sites(site), SlowDisk(site.world).env)


def stalling_disk(site, begins):
    """Every fsync of every daemon takes 2 s, again and again."""
    SlowDisk(site.world).stall(2000 if begins else 0)


def busy_cores(site, begins):
    """Two endless loops a core of this host, which all machines share."""
    if begins:
        site.world.busy = [site.world.wan.spawn(f"busy-{n}", "setpriv", "--pdeathsig", "KILL", "sh",
                                                "-c", "while :; do :; done")
                           for n in range(2 * os.cpu_count())]
    else:
        for loop in site.world.busy:
            loop.kill()


WAN = [("input", f"udp dport {WIREGUARD} drop"), ("output", f"udp dport {WIREGUARD} drop")]
LOSSY = [("input", f"udp dport {WIREGUARD} numgen random mod 100 < 30 drop"),
         ("output", f"udp dport {WIREGUARD} numgen random mod 100 < 30 drop")]
TUNNEL = [("prerouting", 'iifname "cw-wg" drop'), ("postrouting", 'oifname "cw-wg" drop')]
FOREIGN = [("forward", 'iifname { "cw-vx", "cw-wg" } drop')]
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
    Fault("tunnel device dead, the rest alive", *on_gateway(TUNNEL)),
    Fault("gateway does not forward (sysctl)", no_forwarding, forwarding),
    Fault("gateway does not forward (foreign drop)", *on_gateway(FOREIGN)),
    Fault("stores gone, then gateway node gone", crash_without_stores, stores_back),
    Fault("30 % loss on the gateway's WAN link", *on_gateway(LOSSY), settle=10),
    Fault("both gateways restarted at once", restart_both, nothing, settle=4),
    Fault("clock 5 h ahead", jump(5), nothing, settle=8, prepare=prepare_clock,
          restore=lambda site: with_clock(site, None)),
    Fault("clock 5 h back", jump(-5), nothing, settle=8, prepare=prepare_clock,
          restore=lambda site: with_clock(site, None)),
    # Sessions are made with the clock ahead; all of them end within these 200 s.
    Fault("clock 5 h back, rekeying", jump(-5), nothing, settle=200,
          prepare=lambda site: prepare_clock(site, 5), restore=lambda site: with_clock(site, None)),
    Fault("gateway added and removed", gateway_added, nothing, settle=2),
    Fault("partition of 60 s: after it", partition, lambda s, n: unblock(s.cluster.edge),
          settle=62, lasts=60),
    Fault("one cluster of three lost: the others", lambda s, n: s.lose(),
          lambda s, n: s.recover(), settle=4, clusters=3),
    Fault("disk stalls for 2 s, again and again; crash beside it",
          lambda s, n: s.causeway.gateways[n].kill(), lambda s, n: s.causeway.gateways[n].start(),
          prepare=on_slow_disks, restore=lambda site: with_env(all_sites(site), None),
          burden=stalling_disk),
    Fault("all cores busy; crash beside it", lambda s, n: s.causeway.gateways[n].kill(),
          lambda s, n: s.causeway.gateways[n].start(), burden=busy_cores),
    Fault("planned stop", lambda s, n: s.causeway.gateways[n].stop(),
          lambda s, n: s.causeway.gateways[n].start()),
]


def healthy(*sites):
    tunnels = 4 * (len(sites) - 1)
    for site in sites:
        for daemon in site.causeway.gateways + site.causeway.agents:
            wait_until(lambda daemon=daemon: daemon.running() and daemon.why_not_ready() == "", 30,
                       f"{daemon.name} is ready")
        wait_until(lambda site=site: len(site.causeway.tunnels()) == tunnels and all(
            t["state"] == "up" for _, t in site.causeway.tunnels()), 90, "all tunnels are up")
    for one in sites:
        for other in sites:
            if one is not other:
                wait_until(lambda one=one, other=other: one.carrier_to(other) is not None and ping(
                    one.pod.machine, other.pod.ip), 60, f"{one.id} reaches {other.id}")


def fresh(meter):
    """Packets arrive. (The receiver writes its records several times a second.)"""
    before = meter.records()[-1][0]
    time.sleep(0.6)
    return meter.records()[-1][0] > before


def carriers(sites):
    return [one.carrier_to(other) for one in sites for other in sites if one is not other]


def settle(sites, seconds):
    """Waits until no carrier has changed for so long: after a restart, traffic goes back to the
    gateway that is preferred when its hold-down has ended."""
    seen, since, end = carriers(sites), time.monotonic(), time.monotonic() + 60
    while time.monotonic() < since + seconds:
        assert time.monotonic() < end, "the carriers change again and again without a fault"
        time.sleep(0.2)
        if (now := carriers(sites)) != seen:
            seen, since = now, time.monotonic()


def carry_burden(fault, sites, meters, seconds):
    """How many carriers changed and how many packets were lost under it, before any fault."""
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
    """The outages in ms (there, back), packets lost, the longest waits of TCP, and the arrivals
    around the fault in bins of 10 ms. The first site has the fault; it is an end of the traffic
    unless the fault needs three."""
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
    # An outage that still lasts is measured to its end.
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
    options.add_argument("--clusters", type=int, choices=(2, 3), default=2)
    options.add_argument("--minutes", type=float, default=0.5,
                         help="how long a burden stays before the crash beside it (default 0.5)")
    options.add_argument("--overlay", choices=("vxlan", "wireguard"), default="vxlan")
    options.add_argument("-k", metavar="WORD", default="",
                         help="only the fault of that name, or those with WORD in it")
    options.add_argument("--json", metavar="FILE")
    options.add_argument("--plot", metavar="FILE", type=pathlib.Path)
    options = options.parse_args()
    if os.geteuid() != 0:
        sys.exit("faults.py makes network namespaces: run it as root")
    named = [fault for fault in FAULTS if fault.name == options.k] or FAULTS
    faults = [fault for fault in named
              if options.k in fault.name and fault.clusters <= options.clusters]
    if not faults:
        sys.exit(f"faults.py: no fault has {options.k!r} in its name")
    rows, failed = {}, []
    with World(options.build) as world:
        print(f"raising {options.clusters} clusters", flush=True)
        sites = [Site(world, name, {"log.level": "info"},
                      {"log.level": "info", "overlay": options.overlay})
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
                    break  # what it left behind would spoil the next
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
