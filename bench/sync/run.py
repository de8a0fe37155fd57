#!/usr/bin/python3
"""Measures two clusters that meet for the first time, each with a real API server of its own: how long until
every Service that west exports has a name in east, how many requests that takes, what the daemons then
need, and the time from a changed EndpointSlice in west to the answer in east.

A control plane without nodes in a machine of its own for each cluster, gateway, route agent and discovery
beside it. Prints a table; with --json FILE also the raw numbers. Needs root and the programs of
e2e/kube/programs.sh.
"""

import argparse
import json
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "e2e"))

from fabric import objects  # noqa: E402
from fabric.machine import Machine  # noqa: E402
from fabric.wait import wait_until  # noqa: E402
from kube.control_plane import ControlPlane, wait_for_crds  # noqa: E402

NAMESPACE = "bench"
REST = 35  # seconds: daemons give memory back every 30
STATUS = {"causeway-gateway": 9701, "causeway-routeagent": 9702, "causeway-discovery": 9703}
OURS = ("services", "endpointslices", "serviceexports", "serviceimports", "remoteexports", "nodes",
        "namespaces", "clusterproperties", "clusterpeers", "gateways", "routeagents", "secrets",
        "leases", "events")


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


class Site:
    """One cluster: API server and daemons in one machine."""

    def __init__(self, name, number, folder, build):
        self.name, self.number, self.folder, self.build = name, number, folder, build
        self.cidr, self.underlay = f"{9 + number}.64.0.0/10", f"192.0.2.{number}"
        self.daemons = {}
        folder.mkdir()
        self.plane = ControlPlane(name, folder, machine=Machine(f"{name}-cp", folder))
        self.machine = self.plane.machine

    def start_plane(self):
        self.machine.sh(f"ip link set under0 up; ip addr add {self.underlay}/24 dev under0")
        self.plane.start(controllers=False)
        self.plane.kubectl("apply", "-f", ROOT / "crds")
        wait_for_crds(self.plane)
        node = objects.node("n1", [self.underlay], [self.cidr])
        for body in (objects.namespace(NAMESPACE), objects.namespace("causeway-system"),
                     objects.cluster_property("cluster.clusterset.k8s.io", self.name), node):
            self.plane.apply(json.dumps(body))
        self.plane.kubectl("patch", "node", "n1", "--subresource=status", "--type=merge", "-p",
                           json.dumps({"status": node["status"]}))

    def fill(self, services, endpoints):
        self.machine.run(sys.executable, ROOT / "bench/kube/fill.py", self.folder / "pki", services,
                         endpoints, self.cidr.split(".")[0], self.name[0], timeout=900)

    def start_daemons(self):
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
            self.daemons[program] = self.machine.spawn(program, self.build / "bin" / program, "--config", path)

    def pairing(self):
        """What another cluster applies to be paired with this one; None before the gateway has its keys."""
        done = self.machine.run(self.build / "bin/causewayctl", "--store", f"kube:{self.plane.admin}", "pair",
                                "export", check=False)
        return done.stdout if done.returncode == 0 and "publicKey" in done.stdout else None

    def requests(self):
        found = {}
        for line in self.plane.kubectl("get", "--raw", "/metrics").stdout.splitlines():
            if line.startswith("apiserver_request_total{"):
                labels = dict(part.split("=", 1) for part in
                              line[line.index("{") + 1:line.index("}")].replace('"', "").split(",") if "=" in part)
                if labels.get("resource") in OURS:
                    verb = labels["verb"]
                    found[verb] = found.get(verb, 0) + float(line.rsplit(" ", 1)[1])
        return found

    def count(self, group_path):
        page = json.loads(self.plane.kubectl("get", "--raw", f"{group_path}?limit=1").stdout)
        return len(page["items"]) + page["metadata"].get("remainingItemCount", 0)

    def lookup(self, name):
        return self.machine.run("dig", "+short", "+time=1", "+tries=1", "@127.0.0.1", name,
                                check=False).stdout.split()


def less(after, before):
    return {verb: round(after[verb] - before.get(verb, 0)) for verb in after if after[verb] != before.get(verb, 0)}


# In west's machine: rewrites slices; in east's: asks until the new address is the answer. Both have one
# clock, so each prints times of it.
CHANGER = """
import http.client, json, ssl, sys, time, pathlib
pki = pathlib.Path(sys.argv[1])
context = ssl.create_default_context(cafile=pki / "ca.crt")
context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
server = http.client.HTTPSConnection("127.0.0.1", 6443, context=context, timeout=60)
for line in sys.stdin:
    service, address = line.split()
    body = json.dumps({"endpoints": [{"addresses": [address], "hostname": "moved", "conditions": {"ready": True}}]})
    began = time.monotonic()
    server.request("PATCH", f"/apis/discovery.k8s.io/v1/namespaces/bench/endpointslices/{service}", body,
                   {"Content-Type": "application/merge-patch+json"})
    answer = server.getresponse()
    answer.read()
    print(answer.status, began, flush=True)
"""
ASKER = """
import socket, struct, sys, time
for line in sys.stdin:
    name, address = line.split()
    wire = b"".join(bytes([len(p)]) + p.encode() for p in name.split("."))
    wanted, end = socket.inet_aton(address), time.monotonic() + 20
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(1)
        s.connect(("127.0.0.1", 53))
        while time.monotonic() < end:
            s.send(struct.pack(">6H", 7, 0, 1, 0, 0, 0) + wire + bytes([0, 0, 1, 0, 1]))
            try:
                if s.recv(4096).endswith(wanted):
                    break
            except OSError:
                pass
            time.sleep(0.001)
    print(time.monotonic(), flush=True)
"""


def inside(site, script, *arguments):
    return subprocess.Popen(["nsenter", "--target", str(site.machine.pid), "--net", "--mount", "--pid", "--",
                             "setpriv", "--pdeathsig", "KILL", sys.executable, "-c", script,
                             *[str(a) for a in arguments]],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def changes(east, west, services, count):
    """Milliseconds from the beginning of a write in west to the answer in east, for `count` Services."""
    changer, asker = inside(west, CHANGER, west.folder / "pki"), inside(east, ASKER)
    out = []
    try:
        for i in range(count):
            number, address = i * 37 % services, f"{9 + west.number}.{100}.{i // 250}.{i % 250 + 1}"
            asker.stdin.write(f"w{number}.{NAMESPACE}.svc.clusterset.local {address}\n")
            asker.stdin.flush()
            changer.stdin.write(f"w{number} {address}\n")
            changer.stdin.flush()
            status, began = changer.stdout.readline().split()
            if status != "200":
                sys.exit(f"bench: the API server answered {status} to a patch")
            out.append(1000 * (float(asker.stdout.readline()) - float(began)))
            time.sleep(0.05)
    finally:
        for process in (changer, asker):
            process.stdin.close()
            process.wait(30)
    return sorted(out)


def measured(build, exported, imported, endpoints, count):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="causeway-bench-sync-"))
    sites = []
    try:
        for number, name in enumerate(("east", "west"), 1):
            sites.append(Site(name, number, folder / name, build))
        east, west = sites
        subprocess.run(["ip", "link", "add", "name", "under0", "netns", str(east.machine.pid), "type", "veth",
                        "peer", "name", "under0", "netns", str(west.machine.pid)], check=True)
        for site in sites:
            site.start_plane()
        began = time.monotonic()
        east.fill(exported, endpoints)
        west.fill(imported, endpoints)
        say(f"east exports {exported} Services, west {imported}; made in {time.monotonic() - began:.0f} s")
        for site in sites:
            site.start_daemons()
        pairings = [wait_until(site.pairing, 60, "the gateway has its key", every=0.3) for site in sites]
        # Until the daemons have read all, only that would be measured.
        def own_done(site):
            text = site.plane.kubectl("get", "--raw", "/apis/multicluster.x-k8s.io/v1beta1/namespaces/bench/"
                                      f"serviceexports/{site.name[0]}{(exported, imported)[site.number - 1] - 1}").stdout
            return "conditions" in text
        for site in sites:
            wait_until(lambda site=site: own_done(site), 300, "own exports have conditions", every=1)
        quiet(sites)
        before, began = [site.requests() for site in sites], time.monotonic()
        east.plane.apply(pairings[1])
        west.plane.apply(pairings[0])
        out = {"exported": exported, "imported": imported, "endpoints": endpoints}
        names = [f"w{n}.{NAMESPACE}.svc.clusterset.local" for n in (0, imported // 2, imported - 1)]
        wait_until(lambda: east.lookup(names[0]), 300, "the first name resolves", every=0.1)
        out["first_name_s"] = time.monotonic() - began
        remote = "/apis/causeway.dev/v1alpha1/remoteexports"
        wait_until(lambda: east.count(remote) == imported, 600, "all RemoteExports are there", every=0.2)
        for name in names:
            wait_until(lambda name=name: east.lookup(name), 300, f"{name} resolves", every=0.05)
        out["all_names_s"] = time.monotonic() - began
        imports = "/apis/multicluster.x-k8s.io/v1beta1/serviceimports"
        total = exported + imported
        wait_until(lambda: east.count(imports) >= total, 900, "all ServiceImports are there", every=0.3)
        out["all_imports_s"] = time.monotonic() - began
        quiet(sites)
        out["requests"] = less(east.requests(), before[0])
        out["change_ms"] = changes(east, west, imported, count)
        time.sleep(REST)
        out["resident_mib"] = {p: d.resident_kib() / 1024 for p, d in east.daemons.items()}
        return out
    finally:
        for site in sites:
            for daemon in site.daemons.values():
                daemon.stop()
            site.plane.remove()
        shutil.rmtree(folder, ignore_errors=True)


def quiet(sites):
    """Waits until nothing but Leases and probes' statuses is written any more."""
    def still():
        before = [sum(site.requests().values()) for site in sites]
        time.sleep(3)
        return all(sum(site.requests().values()) - b < 14 for site, b in zip(sites, before))
    wait_until(still, 900, "the daemons have done their work", every=1)


def main():
    parser = argparse.ArgumentParser(prog="./dev bench sync", description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--exported", type=int, default=1000, help="Services that east itself exports")
    parser.add_argument("--imported", type=int, default=9000, help="Services that west exports")
    parser.add_argument("--endpoints", type=int, default=5, help="of each Service")
    parser.add_argument("--changes", type=int, default=200)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    row = measured(options.build.resolve(), options.exported, options.imported, options.endpoints,
                   options.changes)
    print(f"east exports {row['exported']} Services and imports {row['imported']} of {row['endpoints']} "
          f"endpoints each from west")
    print(f"  after the pairing: the first name answers after {row['first_name_s']:.1f} s, all after "
          f"{row['all_names_s']:.1f} s, all ServiceImports are there after {row['all_imports_s']:.1f} s")
    print("  requests to east's API server: "
          + ", ".join(f"{v} {n}" for v, n in sorted(row["requests"].items())))
    for program, mib in row["resident_mib"].items():
        print(f"  {program}: {mib:.1f} MiB resident")
    took = row["change_ms"]
    print(f"  EndpointSlice changed in west -> answer in east: median {statistics.median(took):.0f} ms, p99 "
          f"{took[int(len(took) * 0.99)]:.0f} ms, slowest {took[-1]:.0f} ms of {len(took)}")
    if options.json:
        options.json.write_text(json.dumps(row, indent=1))


main()
