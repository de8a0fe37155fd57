#!/usr/bin/python3
"""`./dev bench tunnel`: the engine beside other userspace WireGuards and the bare cable, between two network
namespaces of this host. All are interleaved in one run, so other work on the machine affects all alike.
--quick: one short round, to see that it works. Needs root."""

import argparse
import json
import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "e2e"))
sys.path.insert(0, str(pathlib.Path(__file__).parent))

import implementations  # noqa: E402
import measures  # noqa: E402
import report  # noqa: E402
from fabric.pair import Pair  # noqa: E402
from fabric.world import World  # noqa: E402


def one(world, implementation, build, args):
    pair = Pair(world, (implementation, implementation))
    try:
        if pair.processes:
            pair.connect()
        found = {}
        if "tcp" in args.measures:
            found |= measures.tcp(pair, args.seconds)
        if "datagrams" in args.measures:
            found |= measures.small_packets(pair, args.seconds)
        if "latency" in args.measures:
            found |= measures.latency(pair, args.seconds)
        if "memory" in args.measures and pair.processes:
            found |= measures.memory(pair)
        if "handshakes" in args.measures and pair.processes:
            program = pathlib.Path(build) / "bin/handshake_load"
            found |= measures.handshakes(pair, program, args.seconds)
        if "flood" in args.measures and pair.processes:
            program = pathlib.Path(build) / "bin/handshake_load"
            found |= measures.flood(pair, program, args.seconds)
        return found
    finally:
        pair.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default=str(ROOT / "build/release"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of each single measurement")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--before", metavar="BUILD", help="also the engine of this build, of another commit")
    parser.add_argument("--only", help="implementations whose names contain this, and raw veth")
    parser.add_argument("--measures", default="tcp,datagrams,latency,memory,handshakes,flood",
                        help="which, with commas between them")
    parser.add_argument("--out", default=None, help="folder for tunnel.json, tunnel.md, tunnel.svg")
    args = parser.parse_args()
    args.build = str(pathlib.Path(args.build).resolve())
    if args.before and not (pathlib.Path(args.before) / "bin/engine_host").exists():
        parser.error(f"--before {args.before}: no bin/engine_host there; build that commit first")
    if args.quick:
        args.rounds, args.seconds = 1, 1
    say = lambda text: print(text, flush=True)  # noqa: E731
    found = implementations.all_of(args.build, args.before, say)
    if args.only:
        found = [i for i in found if args.only in i.name]
    contenders = [(i.name, i) for i in found] + [("raw veth", None)]
    results = {name: {} for name, _ in contenders}
    with World(args.build) as world:
        for round_ in range(args.rounds):
            for name, implementation in contenders:
                say(f"round {round_ + 1} of {args.rounds}: {name} (load {os.getloadavg()[0]:.1f})")
                try:
                    measured = one(world, implementation, args.build, args)
                except Exception as error:  # a broken implementation must not cost the others' numbers
                    say(f"  failed: {error}")
                    continue
                say("  " + " ".join(f"{k}={v:.3g}" for k, v in measured.items()))
                for key, value in measured.items():
                    results[name].setdefault(key, []).append(value)
    text = report.table(results) + "\n\n" + (report.ratios(results) if "engine" in results else "")
    say("\n" + text)
    out = pathlib.Path(args.out or pathlib.Path(args.build).parent / "bench")
    out.mkdir(parents=True, exist_ok=True)
    (out / "tunnel.json").write_text(json.dumps(results, indent=1))
    (out / "tunnel.md").write_text(text + "\n")
    (out / "tunnel.svg").write_text(report.plot(results))
    say(f"\nwritten: {out}/tunnel.json, tunnel.md, tunnel.svg")
    return 0 if all(results[name] for name in results) else 1


if __name__ == "__main__":
    sys.exit(main())
