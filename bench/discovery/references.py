#!/usr/bin/python3
"""Puts the same questions to causeway-discovery and to knotd, nsd, named and CoreDNS, which serve the same
names. Prints the answers side by side: code, flags, counts of the sections, OPT, size. Servers that are not
installed are left out. --root FOLDER holds unpacked Debian packages (knot, nsd, bind9 and their libraries).

    bench/discovery/references.py --build build/release [--root FOLDER] [--coredns FILE]
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

ZONE = "clusterset.local"
BIG, SMALL = f"pg.db.svc.{ZONE}", f"db.db.svc.{ZONE}"
RCODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED", 9: "NOTAUTH"}
OPT = b"\0\0\x29\x04\xd0\0\0\0\0\0\0"


def endpoints(count):
    return [(f"pg-{n}", f"10.2.0.{n}", f"fd02::{n:x}") for n in range(count)]


def zone_text():
    lines = [f"$ORIGIN {ZONE}.", "$TTL 5", "@ SOA ns.dns hostmaster 1 7200 1800 86400 2", "@ NS ns.dns",
             "ns.dns A 127.0.0.1"]
    for service, count in (("pg", 100), ("db", 3)):
        for host, v4, v6 in endpoints(count):
            for name in (f"{service}.db.svc", f"{host}.west.{service}.db.svc"):
                lines += [f"{name} A {v4}", f"{name} AAAA {v6}"]
            lines.append(f"_sql._tcp.{service}.db.svc SRV 0 50 5432 {host}.west.{service}.db.svc")
    return "\n".join(lines) + "\n"


def fill(store):
    def put(path, version, kind, name, ns=None, **more):
        meta = {"name": name, "creationTimestamp": "2026-01-01T00:00:00Z", **({"namespace": ns} if ns else {})}
        file = store / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"apiVersion": version, "kind": kind, "metadata": meta, **more}))
    put("namespaces/db.yaml", "v1", "Namespace", "db")
    put("clusterproperties/cluster.clusterset.k8s.io.yaml", "about.k8s.io/v1beta1", "ClusterProperty",
        "cluster.clusterset.k8s.io", spec={"value": "east"})
    put("clusterpeers/west.yaml", "causeway.dev/v1alpha1", "ClusterPeer", "west",
        spec={"clusterId": "west", "gateways": [{"ordinal": 0, "publicKey": "A" * 43 + "="}]},
        status={"connected": True})
    port = [{"name": "sql", "port": 5432, "protocol": "TCP"}]
    for service, count in (("pg", 100), ("db", 3)):
        put(f"remoteexports/db/{service}.west.yaml", "causeway.dev/v1alpha1", "RemoteExport",
            f"{service}.west", "db", spec={
                "cluster": "west", "service": service, "exportedAt": "2026-01-01T00:00:00Z", "headless": True,
                "ports": port, "targetPorts": port, "ipFamilies": ["IPv4", "IPv6"], "sessionAffinity": "None",
                "endpoints": [{"addresses": [a], "hostname": host, "ready": True}
                              for host, v4, v6 in endpoints(count) for a in (v4, v6)]})


def message(name, kind, flags=0x0100, counts=(1, 0, 0, 0), tail=b"", klass=1):
    head = struct.pack(">6H", 0x1234, flags, *counts)
    labels = b"".join(bytes([len(p)]) + p.encode() for p in name.split(".") if p) + b"\0"
    return head + labels + struct.pack(">HH", kind, klass) + tail


def cases():
    edns = {"counts": (1, 0, 0, 1)}
    tsig = (b"\3key\0\0\xfa\0\xff\0\0\0\0\0\x3a\x0bhmac-sha256\0" + struct.pack(">HI", 0, int(time.time()))
            + struct.pack(">HH", 300, 32) + bytes(32) + b"\x12\x34\0\0\0\0")
    tsig = tsig.replace(b"\0\x3a", struct.pack(">H", 13 + 6 + 4 + 32 + 6), 1)
    here = len(message(SMALL, 1))
    record = b"\0\1\0\1\0\0\0\0\0\0"
    yield "A, 100, no EDNS", message(BIG, 1), False
    yield "AAAA, 100, no EDNS", message(BIG, 28), False
    yield "A, 100, 1232 bytes", message(BIG, 1, tail=OPT, **edns), False
    yield "AAAA, 100, 1232 bytes", message(BIG, 28, tail=OPT, **edns), False
    yield "SRV, 100, 1232 bytes", message("_sql._tcp." + BIG, 33, tail=OPT, **edns), False
    yield "A, 100, TCP", message(BIG, 1), True
    yield "SRV, 100, TCP", message("_sql._tcp." + BIG, 33), True
    yield "SRV, 3: additional", message("_sql._tcp." + SMALL, 33, tail=OPT, **edns), False
    yield "NS: additional", message(ZONE, 2), False
    yield "option longer than OPT", message(SMALL, 1, tail=OPT[:-1] + b"\x05\0\x0a\0\x09\0", **edns), False
    yield "owner points to itself", message(SMALL, 1, tail=struct.pack(">H", 0xc000 | here) + record, **edns), False
    yield "owner points forward", message(SMALL, 1, tail=struct.pack(">H", 0xc002 | here) + record, **edns), False
    yield "padded to 2000 bytes", message(SMALL, 1, tail=OPT[:-2] + struct.pack(
        ">HHH", 2000 - here - 11, 12, 2000 - here - 15) + bytes(2000 - here - 15), **edns), False
    yield "NOTIFY-like opcode 6, RD, OPT", message(SMALL, 1, flags=0x3100, tail=OPT, **edns), False
    yield "opcode 15, RD, OPT", message(SMALL, 1, flags=0x7900, tail=OPT, **edns), False
    yield "no question, OPT", struct.pack(">6H", 0x1234, 0x0100, 0, 0, 0, 1) + OPT, False
    yield "two questions, OPT", message(SMALL, 1, counts=(2, 0, 0, 1), tail=b"\xc0\x0c\0\1\0\1" + OPT), False
    yield "TSIG of an unknown key", message(SMALL, 1, tail=tsig, **edns), False


def ask(port, query, tcp):
    kind = socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as s:
        s.settimeout(2)
        try:
            s.connect(("127.0.0.1", port))
            if not tcp:
                s.send(query)
                return s.recv(65535)
            s.sendall(struct.pack(">H", len(query)) + query)
            data = b""
            while len(data) < 2 or len(data) < 2 + struct.unpack(">H", data[:2])[0]:
                more = s.recv(65535)
                if not more:
                    return None
                data += more
            return data[2:]
        except OSError:
            return None


def types(answer):
    """The types of all records, each once."""
    counts, at = struct.unpack(">4H", answer[4:12]), 12

    def name(at):
        while answer[at] and answer[at] < 0xc0:
            at += answer[at] + 1
        return at + (1 if answer[at] == 0 else 2)
    for _ in range(counts[0]):
        at = name(at) + 4
    for _ in range(sum(counts[1:])):
        at = name(at)
        kind, size = struct.unpack(">H6xH", answer[at:at + 10])
        at += 10 + size
        yield kind


def shown(answer):
    if answer is None:
        return "none"
    flags, *counts = struct.unpack(">5H", answer[2:12])
    opt = 41 in types(answer)
    words = [RCODES.get(flags & 15, str(flags & 15))]
    words += [name for bit, name in ((0x0200, "TC"), (0x0100, "RD")) if flags & bit]
    return f"{' '.join(words)} {counts[1]}/{counts[2]}/{counts[3]}{' OPT' if opt else ''} {len(answer)}"


def servers(options, folder):
    """Name -> (port, command). Each serves the zone on loopback."""
    zone = folder / "zone"
    zone.write_text(zone_text())
    store = folder / "store"
    fill(store)

    def program(name):
        for place in ([options.root / "usr/sbin"] if options.root else []) + ["/usr/sbin", "/usr/bin"]:
            if (pathlib.Path(place) / name).exists():
                return str(pathlib.Path(place) / name)
        return None
    ours = folder / "discovery.json"
    ours.write_text(json.dumps({"store": f"dir:{store}", "listen": ["127.0.0.1:5401"],
                                "serverAddresses": ["127.0.0.1"]}))
    yield "causeway", 5401, [str((options.build / "bin/causeway-discovery").resolve()), "--config", str(ours)]
    if program("knotd"):
        config = folder / "knot.conf"
        config.write_text(f"server:\n  listen: 127.0.0.1@5402\n  rundir: {folder}\ndatabase:\n  storage: {folder}\n"
                          f"zone:\n  - domain: {ZONE}\n    file: {zone}\n    zonefile-sync: -1\n"
                          "    journal-content: none\n")
        yield "knotd", 5402, [program("knotd"), "-c", str(config)]
    if program("nsd"):
        config = folder / "nsd.conf"
        config.write_text(f"server:\n  ip-address: 127.0.0.1@5403\n  username: \"\"\n  zonesdir: {folder}\n"
                          f"  database: \"\"\n  pidfile: {folder}/nsd.pid\n  xfrdfile: {folder}/xfrd\n"
                          f"  zonelistfile: {folder}/zones\n  xfrdir: {folder}\nremote-control:\n"
                          f"  control-enable: no\nzone:\n  name: {ZONE}\n  zonefile: {zone}\n")
        yield "nsd", 5403, [program("nsd"), "-d", "-c", str(config)]
    if program("named"):
        config = folder / "named.conf"
        config.write_text(f'options {{ directory "{folder}"; listen-on port 5404 {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};'
                          f' recursion no; pid-file "{folder}/named.pid"; session-keyfile "{folder}/session"; }};\n'
                          f'controls {{ }};\nzone "{ZONE}" {{ type primary; file "{zone}"; }};\n')
        yield "named", 5404, [program("named"), "-f", "-c", str(config)]
    if options.coredns:
        config = folder / "Corefile"
        config.write_text(f"{ZONE}:5405 {{\n  bind 127.0.0.1\n  file {zone}\n}}\n")
        yield "CoreDNS", 5405, [str(options.coredns), "-conf", str(config)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build/release"))
    parser.add_argument("--root", type=pathlib.Path)
    parser.add_argument("--coredns", type=pathlib.Path)
    options = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="causeway-references-"))
    env = dict(os.environ)
    if options.root:
        env["LD_LIBRARY_PATH"] = str(options.root / "usr/lib/x86_64-linux-gnu")
    running, ports = [], {}
    try:
        for name, port, command in servers(options, folder):
            log = open(folder / f"{name}.log", "w")
            running.append(subprocess.Popen(command, stdout=log, stderr=log, env=env))
            ports[name] = port
        for name, port in ports.items():
            end = time.monotonic() + 20
            while (ask(port, message(SMALL, 1), False) or b"\0" * 4)[3] & 15 != 0 or not ask(port, message(SMALL, 1), False):
                if time.monotonic() > end:
                    sys.exit(f"{name} does not answer: {(folder / f'{name}.log').read_text()[-1000:]}")
                time.sleep(0.1)
        print("code, flags, answer/authority/additional, OPT, bytes\n")
        for case, query, tcp in cases():
            print(case)
            for name, port in ports.items():
                print(f"    {name:10} {shown(ask(port, query, tcp))}")
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
