#!/usr/bin/python3
"""Measures the daemons on a real API server: memory at many Services, requests of a start, a restart and an
idle minute. A control plane without nodes in a machine of its own; the daemons run beside it.

Prints a table; with --json FILE also the raw numbers. Needs root and the programs of e2e/kube/programs.sh.
"""

import argparse
import json
import pathlib
import shutil
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "e2e"))

from fabric import objects  # noqa: E402
from fabric.wait import wait_until  # noqa: E402
from kube.control_plane import ControlPlane, wait_for_crds  # noqa: E402

# Not on the API server's own 127.0.0.1: the gateway's endpoint, and the addresses of status pages.
UNDERLAY = "192.0.2.1"
STATUS = {"causeway-gateway": 9701, "causeway-routeagent": 9702, "causeway-discovery": 9703}
IDLE_SECONDS = 60
OURS = ("services", "endpointslices", "serviceexports", "serviceimports", "remoteexports", "nodes",
        "namespaces", "clusterproperties", "clusterpeers", "gateways", "routeagents", "secrets",
        "leases", "events")


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


class Plane:
    def __init__(self, folder, build, services, endpoints):
        self.build, self.folder = build, folder
        self.plane = ControlPlane("east", folder)
        self.daemons = {}
        self.plane.start(controllers=False)
        self.plane.kubectl("apply", "-f", ROOT / "crds")
        wait_for_crds(self.plane)
        self.plane.machine.sh(f"ip link add under0 type veth peer under1; ip link set under1 up; "
                              f"ip link set under0 up; ip addr add {UNDERLAY}/24 dev under0")
        for body in (objects.namespace("bench"), objects.namespace("causeway-system"),
                     objects.cluster_property("cluster.clusterset.k8s.io", "east"),
                     objects.node("n1", [UNDERLAY], ["10.64.0.0/10"]),
                     objects.cluster_peer("west", [(0, "A" * 43 + "=", ["192.0.2.2:4500"])],
                                          ["11.64.0.0/10"])):
            self.plane.apply(json.dumps(body))
        status = {"status": objects.node("n1", [UNDERLAY], ["10.64.0.0/10"])["status"]}
        self.plane.kubectl("patch", "node", "n1", "--subresource=status", "--type=merge", "-p",
                           json.dumps(status))
        began = time.monotonic()
        self.plane.machine.run(sys.executable, ROOT / "bench/kube/fill.py", folder / "pki", services,
                               endpoints, timeout=900)
        say(f"{services} exported Services, their EndpointSlices and as many RemoteExports made in "
            f"{time.monotonic() - began:.0f} s")

    def start(self):
        for program, port in STATUS.items():
            config = {"store": f"kube:{self.plane.admin}", "status": f"127.0.0.1:{port}"}
            if program == "causeway-discovery":
                config |= {"listen": ["127.0.0.1:53"], "identity": "bench"}
            else:
                config |= {"node": "n1"}
            if program == "causeway-gateway":
                config |= {"ordinal": 0}
            path = self.folder / f"{program}.yaml"
            path.write_text(json.dumps(config))
            self.daemons[program] = self.plane.machine.spawn(program, self.build / "bin" / program,
                                                             "--config", path)

    def stop(self):
        for daemon in self.daemons.values():
            daemon.stop()

    def requests(self):
        """Requests of our kinds so far, by verb; a watch counts when it ends."""
        found = {}
        for line in self.plane.kubectl("get", "--raw", "/metrics").stdout.splitlines():
            if line.startswith("apiserver_request_total{"):
                labels = dict(part.split("=", 1) for part in line[line.index("{") + 1:line.index("}")
                                                                  ].replace('"', "").split(",")
                              if "=" in part)
                if labels.get("resource") in OURS:
                    found[labels["verb"]] = found.get(labels["verb"], 0) + float(line.rsplit(" ", 1)[1])
        return found

    def quiet(self):
        """Waits until nothing but the Leases is asked any more."""
        def still():
            before = sum(self.requests().values())
            time.sleep(3)
            return sum(self.requests().values()) - before < 12
        wait_until(still, 600, "the daemons have done their work", every=1)

    def imports(self):
        """How many ServiceImports there are, without reading them."""
        page = json.loads(self.plane.kubectl(
            "get", "--raw", "/apis/multicluster.x-k8s.io/v1beta1/serviceimports?limit=1").stdout)
        return len(page["items"]) + page["metadata"].get("remainingItemCount", 0)

    def lookup(self, name):
        return self.plane.machine.run("dig", "+short", "+time=1", "+tries=1", "@127.0.0.1", name,
                                      check=False).stdout.split()


def less(after, before):
    return {verb: round(after[verb] - before.get(verb, 0)) for verb in after
            if after[verb] != before.get(verb, 0)}


def measured(build, services, endpoints):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="causeway-bench-kube-"))
    plane = None
    try:
        plane = Plane(folder, build, services, endpoints)
        out = {"services": services, "endpoints": endpoints * services}
        before, began = plane.requests(), time.monotonic()
        plane.start()
        last = f"s{services - 1}.bench.svc.clusterset.local"
        wait_until(lambda: plane.lookup(last), 300, f"{last} resolves", every=0.2)
        out["first_answer_s"] = time.monotonic() - began
        wait_until(lambda: plane.imports() == services, 600, "all ServiceImports are there", every=0.3)
        out["imports_s"] = time.monotonic() - began
        plane.quiet()
        out["first_start"] = less(plane.requests(), before)
        before = plane.requests()
        time.sleep(IDLE_SECONDS)
        out["idle_per_minute"] = less(plane.requests(), before)
        out["resident_mib"] = {p: d.resident_kib() / 1024 for p, d in plane.daemons.items()}
        plane.stop()
        before = plane.requests()
        began = time.monotonic()
        plane.start()
        wait_until(lambda: plane.lookup(last), 300, f"{last} resolves again", every=0.2)
        out["restart_answer_s"] = time.monotonic() - began
        plane.quiet()
        out["restart"] = less(plane.requests(), before)
        out["resident_after_restart_mib"] = {p: d.resident_kib() / 1024 for p, d in plane.daemons.items()}
        plane.stop()
        return out
    finally:
        if plane is not None:
            plane.plane.remove()
        shutil.rmtree(folder, ignore_errors=True)


def shown(requests):
    return f"{sum(requests.values())} ({', '.join(f'{v} {n}' for v, n in sorted(requests.items()))})"


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
