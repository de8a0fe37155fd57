"""What a compromised peer at full speed costs the traffic between two other clusters.

    run.py --build build/release [--seconds 12] [--only WORD] [--explain]

For each thing that the rogue does it prints the longest wait of a UDP stream at 1 kHz without the rogue and with it.
--explain adds which threads used the processors, and how long the gateways' loops did not turn.
"""

import argparse
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "e2e"))

from fabric.rogue_feed import MODES, RogueFeed  # noqa: E402
from fabric.site import Site, join  # noqa: E402
from fabric.traffic import Stream  # noqa: E402
from fabric.world import World  # noqa: E402

from usage import Usage  # noqa: E402


def stream_for(seconds, east, north):
    stream = Stream(east.pod.machine, north.pod.machine, north.pod.ip, east.world.folder)
    time.sleep(seconds)
    return stream.stop()


def main():
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("--build", default="build/release")
    flags.add_argument("--seconds", type=float, default=12)
    flags.add_argument("--only", default="", help="what has this word")
    flags.add_argument("--explain", action="store_true")
    options = flags.parse_args()
    with World(options.build) as world:
        east, west, north = (Site(world, name, gateways=2, ipv6=False) for name in ("east", "west", "north"))
        join(east, north, west)
        rogue = RogueFeed(west, east, north)
        attacks = {what: lambda modes=modes: rogue.speak(*modes) for what, modes in MODES.items()}
        attacks["opens connections to the feed port"] = lambda: rogue.connect(east)
        attacks["flips claims 2,000 times per second"] = lambda: rogue.flip(east)
        for what, attack in attacks.items():
            if options.only not in what:
                continue
            alone = stream_for(options.seconds, east, north)
            with attack():
                usage = Usage(world, [*east.causeway.gateways, *north.causeway.gateways])
                beside = stream_for(options.seconds, east, north)
                explained = usage.report() if options.explain else ""
            print(f"{what}: outage {alone.outage_ms:.0f} ms alone, {beside.outage_ms:.0f} ms beside it, "
                  f"{beside.lost} lost of {beside.lost + beside.received}\n{explained}", end="", flush=True)


if __name__ == "__main__":
    main()
