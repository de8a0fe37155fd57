#!/usr/bin/python3
"""Measures the daemons on a real API server: memory with many Services, requests of a start, a restart and an
idle minute. A control plane without nodes has a machine of its own, and the daemons run beside it.

Prints a table; --json FILE also writes the raw numbers. Needs root and the programs of e2e/kube/programs.sh.
"""

import argparse
import json
import pathlib
import shutil
import tempfile
import time

from cluster_site import IMPORTS, Site, less, quiet, say, shown  # imported first: it finds the fabric
from fabric import objects
from fabric.wait import wait_until

IDLE_SECONDS = 60


def raised(folder, build, services, endpoints):
    """A site with a peer "west" that never answers."""
    site = Site("east", 1, folder, build)
    site.machine.sh("ip link add under0 type veth peer under1; ip link set under1 up")
    site.start_plane()
    site.plane.apply(json.dumps(objects.cluster_peer("west", [(0, "A" * 43 + "=", ["192.0.2.2:4500"])],
                                                     ["11.64.0.0/10"])))
    began = time.monotonic()
    site.fill(services, endpoints)
    say(f"{services} exported Services, their EndpointSlices and as many RemoteExports made in "
        f"{time.monotonic() - began:.0f} s")
    return site


def measured(build, services, endpoints):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="causeway-bench-kube-"))
    site = None
    try:
        site = raised(folder, build, services, endpoints)
        out = {"services": services, "endpoints": endpoints * services}
        before, began = site.requests(), time.monotonic()
        site.start_daemons()
        last = f"s{services - 1}.bench.svc.clusterset.local"
        wait_until(lambda: site.lookup(last), 300, f"{last} resolves", every=0.2)
        out["first_answer_s"] = time.monotonic() - began
        wait_until(lambda: site.count(IMPORTS) == services, 600, "all ServiceImports are there", every=0.3)
        out["imports_s"] = time.monotonic() - began
        quiet([site])
        out["first_start"] = less(site.requests(), before)
        before = site.requests()
        time.sleep(IDLE_SECONDS)
        out["idle_per_minute"] = less(site.requests(), before)
        out["resident_mib"] = site.resident_mib()
        site.stop_daemons()
        before, began = site.requests(), time.monotonic()
        site.start_daemons()
        wait_until(lambda: site.lookup(last), 300, f"{last} resolves again", every=0.2)
        out["restart_answer_s"] = time.monotonic() - began
        quiet([site])
        out["restart"] = less(site.requests(), before)
        out["resident_after_restart_mib"] = site.resident_mib()
        return out
    finally:
        if site is not None:
            site.remove()
        shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(prog="./dev bench kube", description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--services", type=int, nargs="+", default=[1000, 10000])
    parser.add_argument("--endpoints", type=int, default=5, help="of each Service")
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    rows = [measured(options.build.resolve(), n, options.endpoints) for n in options.services]
    for row in rows:
        print(f"\n{row['services']} Services exported, as many imported, {row['endpoints']} endpoints each way")
        for program, mib in row["resident_mib"].items():
            after = row["resident_after_restart_mib"][program]
            print(f"  {program}: {mib:.1f} MiB resident, {after:.1f} after a restart")
        print(f"  first start: names answer after {row['first_answer_s']:.1f} s, all ServiceImports are there "
              f"after {row['imports_s']:.1f} s; requests: {shown(row['first_start'])}")
        print(f"  restart: names answer after {row['restart_answer_s']:.1f} s; requests: {shown(row['restart'])}")
        print(f"  idle: requests a minute: {shown(row['idle_per_minute'])}")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


main()
