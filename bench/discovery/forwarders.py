#!/usr/bin/python3
"""Measures what pods get when the DNS server of a whole cluster forwards their queries. CoreDNS forwards with
one connection per query (`force_tcp`, as NodeLocal DNSCache does) and over UDP. Behind it are
causeway-discovery with its default limits and knotd with the same names. CoreDNS has no cache here, so each
query is a miss. Everything runs on this host. Needs dnsperf, knot and Go.

    bench/discovery/forwarders.py --build build/release [--rate 8000] [--seconds 20] [--rounds 3] [--json FILE]
"""

import argparse
import json
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

import run

FORWARDER = 5395
SERVICES, ENDPOINTS = 2000, 3


def start_forwarder(program, folder, upstream, tcp):
    options = " {\n        force_tcp\n    }" if tcp else ""
    corefile = folder / "Corefile.forward"
    corefile.write_text(f".:{FORWARDER} {{\n    bind 127.0.0.1\n    errors\n"
                        f"    forward . 127.0.0.1:{upstream}{options}\n}}\n")
    log = open(folder / "forwarder.log", "w")
    return subprocess.Popen([program, "-conf", corefile], stdout=log, stderr=log)


def measured(queries, rate, seconds):
    """Percent of the queries by result. "lost" got no answer within dnsperf's 5 s."""
    text = subprocess.run(
        ["dnsperf", "-s", "127.0.0.1", "-p", str(FORWARDER), "-d", queries, "-l", str(seconds), "-Q", str(rate),
         "-c", "64", "-T", "1", "-q", "4000"], capture_output=True, text=True, check=True).stdout
    sent = int(re.search(r"Queries sent:\s+(\d+)", text)[1])
    found = {"qps": float(re.search(r"Queries per second:\s+([\d.]+)", text)[1]),
             "lost": 100 * int(re.search(r"Queries lost:\s+(\d+)", text)[1]) / sent}
    codes = re.search(r"Response codes:\s+(.*)", text)
    for name, count in re.findall(r"([A-Z]+) (\d+)", codes[1] if codes else ""):
        found[name] = 100 * int(count) / sent
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build/release"))
    parser.add_argument("--rate", type=int, default=8000)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    run.need_tools()
    program = run.coredns()
    if program is None:
        sys.exit("bench: CoreDNS needs Go >= 1.24 (or >= 1.21 with GOTOOLCHAIN=auto)")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: stopped"))
    running, result = [], []
    folder = pathlib.Path(tempfile.mkdtemp(prefix="causeway-bench-"))
    try:
        run.fill(folder / "store", SERVICES, ENDPOINTS)
        run.write_zone(folder / "zone", SERVICES, ENDPOINTS)
        running.append(run.start_ours(args.build, folder / "store", folder, 2, exempt=[]))
        running.append(run.start_knot(folder, 2))
        last = f"s{SERVICES - 1}.bench.svc.{run.ZONE}"
        for port in (run.OURS, run.KNOT):
            run.until("the first answer", lambda p=port: (run.ask(last, p, 0.2) or (2,))[0] == 0, 120)
        queries = folder / "queries"
        queries.write_text("".join(f"s{s}.bench.svc.{run.ZONE} A\n" for s in range(SERVICES)))
        for round_ in range(args.rounds):
            for name, port in (("causeway-discovery", run.OURS), ("knotd", run.KNOT)):
                for tcp in (True, False):
                    forwarder = start_forwarder(program, folder, port, tcp)
                    running.append(forwarder)
                    run.until("CoreDNS", lambda: (run.ask(last, FORWARDER, 0.5) or (2,))[0] == 0, 60)
                    found = measured(queries, args.rate, args.seconds)
                    result.append({"server": name, "tcp": tcp, **found})
                    print(f"round {round_ + 1}: {name} behind CoreDNS, {'TCP' if tcp else 'UDP'}: "
                          f"{found.pop('qps'):.0f} queries/s, "
                          + ", ".join(f"{k} {v:.3f} %" for k, v in found.items()), flush=True)
                    running.remove(forwarder)
                    run.stop(forwarder)
    finally:
        for process in running:
            run.stop(process)
        shutil.rmtree(folder, ignore_errors=True)
    if args.json:
        args.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
