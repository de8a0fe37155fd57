#!/usr/bin/python3
"""Measures two clusters on this host: the outage when a gateway's node dies, the packets that a planned stop
loses, the time from a ServiceExport to its name in the other cluster, and resident memory.

Prints a table; --json FILE also writes the raw numbers. Needs root.
"""

import argparse
import itertools
import json
import os
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "e2e"))

from fabric.services import export, make_service, remove_service  # noqa: E402
from fabric.site import Site, join  # noqa: E402
from fabric.traffic import PYTHON, WIRE, Stream  # noqa: E402
from fabric.wait import wait_until  # noqa: E402
from fabric.world import World  # noqa: E402


def healthy(*sites):
    for site in sites:
        for daemon in site.causeway.gateways + site.causeway.agents:
            wait_until(lambda daemon=daemon: daemon.running() and daemon.why_not_ready() == "", 30,
                       f"{daemon.name} is ready")
        wait_until(lambda site=site: len(site.causeway.tunnels()) == 4 and all(
            t["state"] == "up" for _, t in site.causeway.tunnels()), 30, "all tunnels are up")


def streams(east, west):
    return [Stream(here.pod.machine, there.pod.machine, there.pod.ip, here.world.folder)
            for here, there in ((east, west), (west, east))]


def outages(east, west, count, end, begin):
    """One row per round: the site that lost a gateway, and what both directions lost."""
    rows = []
    for round_, (site, other) in zip(range(count), itertools.cycle(((east, west), (west, east)))):
        healthy(east, west)
        time.sleep(0.5)
        meters = streams(east, west)
        lost = wait_until(lambda: (site.carrier_to(other),), 10, "a gateway carries")[0]
        end(site, lost)
        wait_until(lambda: site.carrier_to(other) not in (None, lost), 15, "the other one carries")
        time.sleep(1.5)
        reports = [meter.stop() for meter in meters]
        begin(site, lost)
        rows.append({"site": site.id, "gateway": lost,
                     "outage_ms": [round(r.outage_ms, 1) for r in reports],
                     "lost": [r.lost for r in reports]})
        print(f"  {round_ + 1:2} {site.id} gateway {lost}: there {reports[0]}; back {reports[1]}",
              flush=True)
        time.sleep(2.5)  # the hold-down of the fabric's configuration
    return rows


def resolve_times(east, west, count):
    """Milliseconds from the ServiceExport's file to the first answer in the other cluster."""
    found = []
    for number in range(count):
        name = f"probe-{number}"
        make_service(east.cluster, "bench", name, {"p": 80}, {"h": east.pod})
        time.sleep(0.3)
        asker = west.pod.machine.spawn(f"ask-{number}", PYTHON, WIRE / "resolve.py",
                                       west.causeway.dns,
                                       f"{name}.bench.svc.clusterset.local", 20)
        wait_until(lambda: "asking" in asker.output(), 5, "the asker runs")
        started = time.monotonic_ns()
        export(east.cluster, "bench", name)
        assert asker.wait(25) == 0, f"{name} did not resolve within 20 s"
        found.append((int(asker.output().split()[-1]) - started) / 1e6)
        remove_service(east.cluster, "bench", name)
    return found


def spread(values):
    ordered = sorted(values)
    return {"min": ordered[0], "median": statistics.median(ordered),
            "p95": ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))], "max": ordered[-1]}


def resident(*sites):
    rows = {}
    for site in sites:
        for daemon in site.causeway.all:
            rows.setdefault(daemon.program, []).append(daemon.resident_kib() / 1024)
        for node in site.cluster.gateway_nodes:
            for pid in node.machine.pids("wireguard-go"):
                status = pathlib.Path(f"/proc/{pid}/status").read_text()
                kib = next(line for line in status.splitlines() if line.startswith("VmRSS"))
                rows.setdefault("wireguard-go", []).append(int(kib.split()[1]) / 1024)
    return rows


def table(result):
    def line(what, values, unit):
        s = spread(values)
        print(f"  {what:44} {s['min']:8.1f} {s['median']:8.1f} {s['p95']:8.1f} {s['max']:8.1f}"
              f" {unit:4} of {len(values)}")
    print(f"\n  {'':44} {'min':>8} {'median':>8} {'p95':>8} {'max':>8}")
    for key, what in (("crashes", "gateway node crashes: outage"),
                      ("stops", "planned stops: longest gap")):
        for way, name in enumerate(("east to west", "west to east")):
            if result[key]:
                line(f"{what}, {name}", [row["outage_ms"][way] for row in result[key]], "ms")
                line("    packets lost at 1 kHz", [row["lost"][way] for row in result[key]], "")
    if result["resolve_ms"]:
        line("ServiceExport to name in the other cluster", result["resolve_ms"], "ms")
    for program, sizes in result["resident_mib"].items():
        line(f"resident memory, {program}", sizes, "MiB")


def main():
    options = argparse.ArgumentParser(prog="./dev bench outage", description=__doc__)
    options.add_argument("--build", default="build/release")
    options.add_argument("--kills", type=int, default=10)
    options.add_argument("--stops", type=int, default=4)
    options.add_argument("--exports", type=int, default=20)
    options.add_argument("--json", metavar="FILE")
    options = options.parse_args()
    if os.geteuid() != 0:
        sys.exit("./dev bench outage makes network namespaces: run it as root")
    with World(options.build) as world:
        print("raising two clusters", flush=True)
        east, west = (Site(world, name, {"log.level": "info"}, {"log.level": "info"})
                      for name in ("east", "west"))
        join(east, west)
        result = {}
        print("time to resolve", flush=True)
        result["resolve_ms"] = resolve_times(east, west, options.exports)
        result["resident_mib"] = resident(east, west)
        print("gateway node crashes", flush=True)
        result["crashes"] = outages(east, west, options.kills, Site.crash_gateway,
                                    Site.recover_gateway)
        print("planned stops", flush=True)
        result["stops"] = outages(east, west, options.stops,
                                  lambda site, n: site.causeway.gateways[n].stop(),
                                  lambda site, n: site.causeway.gateways[n].start())
        table(result)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
