#!/usr/bin/python3
"""Measures causeway-discovery alone: the first sync of many exported Services, the time from a changed
RemoteExport to the answer, what table swaps cost answers (dns_swaps.cc), and queries per second. knotd and
CoreDNS serve the same names on the same cores in the same run, in turn. dnsperf and knot are Debian packages.
CoreDNS is built once with Go, from the modules that e2e/kube/programs pins.

Prints a table; --json FILE also writes the raw numbers.
"""

import argparse
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

OURS, KNOT, STATUS, COREDNS = 5391, 5392, 5393, 5394
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
ZONE = "clusterset.local"


def address(number):
    return f"10.{64 + number // 65536}.{number // 256 % 256}.{number % 256}"


def remote_export(service, addresses):
    return {"apiVersion": "causeway.dev/v1alpha1", "kind": "RemoteExport",
            "metadata": {"name": f"s{service}.west", "namespace": "bench",
                         "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"cluster": "west", "service": f"s{service}", "exportedAt": "2026-01-01T00:00:00Z",
                     "headless": False, "ipFamilies": ["IPv4"], "sessionAffinity": "None",
                     "ports": [{"name": "sql", "port": 5432, "protocol": "TCP"}],
                     "portSets": [{"ports": [{"name": "sql", "port": 5432, "protocol": "TCP"}]}],
                     "endpoints": [{"addresses": [a], "hostname": a.replace(".", "-"), "ready": True}
                                   for a in addresses]}}


def write(path, body):
    """Writes JSON, which is YAML, atomically, as an administrator's tool would."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name("." + path.name)
    fresh.write_text(json.dumps(body))
    fresh.rename(path)


def fill(store, services, endpoints):
    def plain(kind, version, name, **more):
        return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **more}
    write(store / "namespaces/bench.yaml", plain("Namespace", "v1", "bench"))
    write(store / "clusterproperties/id.yaml", plain(
        "ClusterProperty", "about.k8s.io/v1beta1", "cluster.clusterset.k8s.io", spec={"value": "east"}))
    (store / "clusterproperties/id.yaml").rename(
        store / "clusterproperties/cluster.clusterset.k8s.io.yaml")
    # Exports of a cluster without a ClusterPeer are not imported.
    write(store / "clusterpeers/west.yaml", plain(
        "ClusterPeer", "causeway.dev/v1alpha1", "west",
        spec={"clusterId": "west", "gateways": [{"ordinal": 0, "publicKey": "A" * 43 + "="}]},
        status={"connected": True}))
    for s in range(services):
        write(store / f"remoteexports/bench/s{s}.west.yaml",
              remote_export(s, [address(s * endpoints + e) for e in range(endpoints)]))


def ask(name, port=OURS, timeout=1.0):
    """(rcode, set of A addresses), or None without an answer."""
    labels = b"".join(bytes([len(p)]) + p.encode() for p in name.split("."))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(timeout)
        try:
            s.sendto(struct.pack(">6H", 7, 0, 1, 0, 0, 0) + labels + b"\0\0\1\0\1", ("127.0.0.1", port))
            data = s.recv(4096)
        except OSError:
            return None
    at, found = 12 + len(labels) + 5, set()
    for _ in range(struct.unpack(">H", data[6:8])[0]):
        found.add(socket.inet_ntoa(data[at + 12:at + 16]))
        at += 16
    return data[3] & 15, found


def until(what, condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"bench: waited {seconds} s for: {what}")
        time.sleep(0.02)


def scraped(name):
    text = urllib.request.urlopen(f"http://127.0.0.1:{STATUS}/metrics", timeout=5).read().decode()
    found = re.search(rf"^{name} ([0-9.e+-]+)$", text, re.M)
    return float(found.group(1)) if found else float("nan")


def memory(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) / 1024


def start_ours(build, store, folder, workers, exempt=("127.0.0.0/8",)):
    config = folder / "discovery.yaml"
    config.write_text(json.dumps({"store": f"dir:{store}", "listen": [f"127.0.0.1:{OURS}"], "workers": workers,
                                  "rateLimit": {"exempt": list(exempt)},
                                  "status": f"127.0.0.1:{STATUS}"}))
    log = open(folder / "discovery.log", "w")
    return subprocess.Popen([build / "bin/causeway-discovery", "--config", config], stdout=log, stderr=log)


def write_zone(path, services, endpoints):
    lines = [f"$ORIGIN {ZONE}.", "$TTL 5", "@ SOA ns.dns hostmaster 1 7200 1800 86400 2", "@ NS ns.dns",
             "ns.dns A 127.0.0.1"]
    for s in range(services):
        lines += [f"s{s}.bench.svc A {address(s * endpoints + e)}" for e in range(endpoints)]
        lines += [f"{left}s{s}.bench.svc SRV 0 50 5432 s{s}.bench.svc" for left in ("", "_sql._tcp.")]
    path.write_text("\n".join(lines) + "\n")


def coredns():
    """The path of the program, built if necessary. None without Go."""
    source = REPOSITORY / "e2e/kube/programs"
    stamp = hashlib.sha256(b"".join((source / f).read_bytes() for f in (
        "go.mod", "go.sum", "coredns-file/main.go"))).hexdigest()[:16]
    program = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "causeway" / f"coredns-file-{stamp}"
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if not program.exists() and go:
        program.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([go, "build", "-p", "2", "-trimpath", "-gcflags=all=-dwarf=false", "-ldflags", "-s -w",
                        "-o", program, "./coredns-file"],
                       cwd=source, check=True, timeout=900,
                       env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOWORK": "off"})
    return program if program.exists() else None


def start_coredns(program, folder):
    (folder / "Corefile").write_text(f"{ZONE}:{COREDNS} {{\n    bind 127.0.0.1\n    file {folder}/zone\n}}\n")
    log = open(folder / "coredns.log", "w")
    return subprocess.Popen([program, "-conf", folder / "Corefile"], stdout=log, stderr=log)


def start_knot(folder, workers):
    (folder / "knot.conf").write_text(f"""server:
    rundir: {folder}
    listen: 127.0.0.1@{KNOT}
    udp-workers: {workers}
    tcp-workers: 1
    background-workers: 1
database:
    storage: {folder}/db
zone:
  - domain: {ZONE}
    storage: {folder}
    file: zone
""")
    log = open(folder / "knot.log", "w")
    return subprocess.Popen([shutil.which("knotd") or "/usr/sbin/knotd", "-c", folder / "knot.conf"],
                            stdout=log, stderr=log)


def dnsperf(port, queries, seconds):
    text = subprocess.run(["dnsperf", "-s", "127.0.0.1", "-p", str(port), "-d", queries, "-l", str(seconds),
                           "-c", "16", "-T", "1", "-q", "200"], capture_output=True, text=True, check=True).stdout
    def number(pattern):
        return float(re.search(pattern, text)[1])
    return {"qps": number(r"Queries per second:\s+([\d.]+)"),
            "latency_ms": 1000 * number(r"Average Latency \(s\):\s+([\d.]+)"),
            "lost": number(r"Queries lost:\s+(\d+)"),
            "noerror_percent": number(r"NOERROR \d+ \(([\d.]+)%\)")}


def changes(store, services, count):
    """Seconds from a rewritten RemoteExport to the first answer with the change."""
    out = []
    for i in range(count):
        service, fresh = i * 7 % services, f"10.200.{i // 250}.{i % 250 + 1}"
        begun = time.monotonic()
        write(store / f"remoteexports/bench/s{service}.west.yaml", remote_export(service, [fresh]))
        until("the change in DNS", lambda: ask(f"s{service}.bench.svc.{ZONE}") == (0, {fresh}), 20)
        out.append(time.monotonic() - begun)
        time.sleep(0.05)
    return out


def need_tools():
    missing = [p for p in ("knotd", "dnsperf") if not (shutil.which(p) or os.path.exists(f"/usr/sbin/{p}"))]
    if missing:
        sys.exit("bench: apt-get install --no-install-recommends knot dnsperf")


def stop(process):
    process.terminate()
    process.wait(20)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build/release"))
    parser.add_argument("--services", type=int, default=10000)
    parser.add_argument("--endpoints", type=int, default=5)
    parser.add_argument("--changes", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    need_tools()
    workers = os.cpu_count()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: stopped"))
    running, result = [], {"services": args.services, "endpoints": args.services * args.endpoints}
    folder = pathlib.Path(tempfile.mkdtemp(prefix="causeway-bench-"))
    try:
        store = folder / "store"
        fill(store, args.services, args.endpoints)
        begun = time.monotonic()
        ours = start_ours(args.build, store, folder, workers)
        running.append(ours)
        last = f"s{args.services - 1}.bench.svc.{ZONE}"
        until("the first answer", lambda: (ask(last, timeout=0.2) or (2,))[0] == 0, 300)
        result["first_answer_s"] = time.monotonic() - begun
        imports = store / "serviceimports/bench"
        until("all ServiceImports", lambda: imports.is_dir() and
              sum(1 for n in os.scandir(imports) if n.name.endswith(".yaml") and n.name[0] != ".") == args.services, 600)
        result["all_imports_s"] = time.monotonic() - begun
        time.sleep(5)
        result["rss_mib"] = memory(ours.pid)
        result["api_writes"] = scraped("causeway_discovery_writes_total")
        took = sorted(changes(store, args.services, args.changes))
        result["change_p50_ms"] = 1000 * statistics.median(took)
        result["change_p99_ms"] = 1000 * took[int(len(took) * 0.99)]
        result["table_build_ms"] = 1000 * scraped("causeway_dns_table_build_seconds")
        result["swaps"] = json.loads(subprocess.run(
            [args.build / "bin/dns_swaps", "--services", str(args.services), "--seconds", "4"],
            capture_output=True, text=True, check=True, timeout=300).stdout)
        write_zone(folder / "zone", args.services, args.endpoints)
        running.append(start_knot(folder, workers))
        until("knotd", lambda: (ask(last, KNOT, 0.2) or (2,))[0] == 0, 20)
        servers = {"ours": OURS, "knotd": KNOT}
        if program := coredns():
            running.append(start_coredns(program, folder))
            until("CoreDNS", lambda: (ask(last, COREDNS, 0.2) or (2,))[0] == 0, 60)
            servers["coredns"] = COREDNS
        else:
            print("without CoreDNS: needs Go >= 1.24 (or >= 1.21 with GOTOOLCHAIN=auto)", file=sys.stderr)
        queries = folder / "queries"
        queries.write_text("".join(f"s{s}.bench.svc.{ZONE} {'SRV' if s % 10 == 0 else 'A'}\n"
                                   for s in range(args.services)))
        for _ in range(args.rounds):
            for name, port in servers.items():
                result.setdefault(name, []).append(dnsperf(port, queries, args.seconds))
    finally:
        for process in running:
            stop(process)
        shutil.rmtree(folder, ignore_errors=True)
    for key, value in result.items():
        if isinstance(value, list):
            median = {k: statistics.median(r[k] for r in value) for k in value[0]}
            print(f"{key:16} {median['qps']:10.0f} queries/s  {median['latency_ms']:.2f} ms on average, "
                  f"{median['lost']:.0f} lost, {median['noerror_percent']:.1f} % NOERROR")
        elif isinstance(value, dict):
            for phase, got in value.items():
                print(f"{key + ' ' + phase:16} " + ", ".join(f"{k} {v:g}" for k, v in got.items()))
        else:
            print(f"{key:16} {value:10.1f}")
    if args.json:
        args.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
