#!/usr/bin/python3
"""Measures two clusters that meet for the first time, each with a real API server of its own: the time until
every Service that west exports has a name in east, the requests for that, the daemons' memory, and the time
from a changed EndpointSlice in west to the answer in east.

Each cluster has a control plane without nodes in a machine of its own, with gateway, route agent and
discovery beside it. Prints a table; --json FILE also writes the raw numbers. Needs root and the programs of
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

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "kube"))

from cluster_site import (IMPORTS, NAMESPACE, REMOTE_EXPORTS, Site, less, quiet, say,  # noqa: E402
                          shown)
from fabric.wait import wait_until  # noqa: E402

REST = 35  # seconds: daemons give memory back every 30 s


def pairing(site):
    """The ClusterPeer that another cluster applies to be paired with this one. None before the gateway has
    its key."""
    done = site.machine.run(site.build / "bin/causewayctl", "--store", f"kube:{site.plane.admin}", "pair",
                            "export", check=False)
    return done.stdout if done.returncode == 0 and "publicKey" in done.stdout else None


def said(site, services):
    """Whether the last ServiceExport has conditions: then the daemons have read all of them."""
    return services == 0 or "conditions" in site.plane.get(
        "-n", NAMESPACE, "serviceexports.multicluster.x-k8s.io",
        f"{site.name[0]}{services - 1}").get("status", {})


# In west's machine it rewrites slices. In east's machine it asks until the new address is the answer. Both
# machines have one clock, so each prints times of it.
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
    """Milliseconds from the start of a write in west to the answer in east, for `count` Services."""
    changer, asker = inside(west, CHANGER, west.folder / "pki"), inside(east, ASKER)
    out = []
    try:
        for i in range(count):
            number, address = i * 37 % services, f"{west.first_byte}.100.{i // 250}.{i % 250 + 1}"
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


def raised(folder, build, exported, imported, endpoints):
    """East and west, not paired yet, with all their exports."""
    east, west = sites = [Site(name, number, folder / name, build)
                          for number, name in enumerate(("east", "west"), 1)]
    subprocess.run(["ip", "link", "add", "name", "under0", "netns", str(east.machine.pid), "type", "veth",
                    "peer", "name", "under0", "netns", str(west.machine.pid)], check=True)
    began = time.monotonic()
    for site, services in ((east, exported), (west, imported)):
        site.start_plane()
        site.fill(services, endpoints, site.first_byte, site.name[0])
    say(f"east exports {exported} Services, west {imported}; made in {time.monotonic() - began:.0f} s")
    for site, services in ((east, exported), (west, imported)):
        site.start_daemons()
        wait_until(lambda s=site, n=services: said(s, n), 300, "own exports have conditions", every=1)
    quiet(sites)
    return sites


def measured(build, exported, imported, endpoints, count):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="causeway-bench-sync-"))
    sites = []
    try:
        sites += raised(folder, build, exported, imported, endpoints)
        east, west = sites
        pairings = [wait_until(lambda s=s: pairing(s), 60, "the gateway has its key", every=0.3) for s in sites]
        before, began = east.requests(), time.monotonic()
        east.plane.apply(pairings[1])
        west.plane.apply(pairings[0])
        out = {"exported": exported, "imported": imported, "endpoints": endpoints}
        names = [f"w{n}.{NAMESPACE}.svc.clusterset.local" for n in (0, imported // 2, imported - 1)]
        wait_until(lambda: east.lookup(names[0]), 300, "the first name resolves", every=0.1)
        out["first_name_s"] = time.monotonic() - began
        wait_until(lambda: east.count(REMOTE_EXPORTS) == imported, 600, "all RemoteExports are there", every=1)
        for name in names:
            wait_until(lambda name=name: east.lookup(name), 300, f"{name} resolves", every=0.05)
        out["all_names_s"] = time.monotonic() - began
        wait_until(lambda: east.count(IMPORTS) >= exported + imported, 900, "all ServiceImports are there",
                   every=1)
        out["all_imports_s"] = time.monotonic() - began
        quiet(sites)
        out["requests"] = less(east.requests(), before)
        out["change_ms"] = changes(east, west, imported, count)
        time.sleep(REST)
        out["resident_mib"] = east.resident_mib()
        return out
    finally:
        for site in sites:
            site.remove()
        shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(prog="./dev bench sync", description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--exported", type=int, default=0, help="Services that east itself exports")
    parser.add_argument("--imported", type=int, default=10000, help="Services that west exports")
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
    print(f"  requests to east's API server: {shown(row['requests'])}")
    for program, mib in row["resident_mib"].items():
        print(f"  {program}: {mib:.1f} MiB resident")
    took = row["change_ms"]
    print(f"  EndpointSlice changed in west -> answer in east: median {statistics.median(took):.0f} ms, p99 "
          f"{took[int(len(took) * 0.99)]:.0f} ms, slowest {took[-1]:.0f} ms of {len(took)}")
    if options.json:
        options.json.write_text(json.dumps(row, indent=1))


main()
