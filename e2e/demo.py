#!/usr/bin/python3
"""Shows the main job: two clusters on this host, and a database that streams from one to the other by an
exported name. A gateway dies meanwhile. At the end the standby is promoted. Needs root.

The exit code is 0 only if every printed statement was checked.
"""

import argparse
import os
import pathlib
import sys
import time

import yaml

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from fabric.ctl import ctl  # noqa: E402
from fabric.postgres import Postgres, Writer  # noqa: E402
from fabric.services import make_service  # noqa: E402
from fabric.site import Site, wait_until_reached  # noqa: E402
from fabric.traffic import Stream, transfer  # noqa: E402
from fabric.wait import wait_until  # noqa: E402
from fabric.world import World  # noqa: E402

NAME = "pg-0.east.pg.data.svc.clusterset.local"
STARTED = time.monotonic()


def step(text):
    print(f"\n[{time.monotonic() - STARTED:5.1f} s] {text}", flush=True)


def say(text):
    for line in text.rstrip().splitlines():
        print(f"          {line}", flush=True)


def claim(holds, text):
    """Prints `text` if it is true; ends the demo otherwise."""
    if not holds:
        raise AssertionError(f"not so: {text}")
    say(text)


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def raise_clusters(world):
    step("Raising two clusters, east and west: two gateway nodes and a worker each, a router between.")
    east, west = Site(world, "east"), Site(world, "west")
    say("Nodes masquerade what leaves the cluster, as CNIs do. Pods of one cluster cannot reach the "
        "other's:")
    asked = east.pod.machine.run("ping", "-c", 1, "-W", 1, west.pod.ip, check=False)
    claim(asked.returncode != 0, f"ping {west.pod.ip} from {east.pod.ip}: no answer")
    step("Starting Causeway: a gateway on each gateway node, a route agent on every node, discovery.")
    east.start()
    west.start()
    return east, west


def pair(east, west):
    step("Pairing them: each side's `causewayctl pair export` is given to the other.")
    for here, there in ((east, west), (west, east)):
        wait_until(here.causeway.announced, 20, f"{here.id}'s gateways announce themselves")
        for body in yaml.safe_load_all(ctl(here, "pair", "export").stdout):
            there.store.put(body)
    wait_until_reached(east, west)
    wait_until_reached(west, east)
    seen = transfer(east.pod.machine, west.pod.ip).source
    claim(seen == east.pod.ip,
          f"1 MiB from pod {east.pod.ip} to pod {west.pod.ip}, which sees {seen}: no SNAT")


def start_database(east, west):
    step("PostgreSQL 15: the primary starts in a pod of east, behind the headless Service data/pg.")
    primary = Postgres(east.pod, "primary")
    primary.make_primary()
    make_service(east.cluster, "data", "pg", {"postgres": 5432}, {"pg-0": east.pod}, headless=True)
    say("causewayctl export data/pg")
    started = time.monotonic()
    ctl(east, "export", "data/pg")
    wait_until(lambda: west.pod.machine.run("getent", "ahosts", NAME, check=False).returncode == 0,
               15, f"{NAME} resolves", every=0.01)
    claim(True, f"{NAME} resolves in west after {(time.monotonic() - started) * 1000:.0f} ms")
    say(ctl(west, "resolve", NAME).stdout)
    step("The standby starts in a pod of west: base backup and streaming, by that name.")
    standby = Postgres(west.pod, "standby")
    standby.make_standby_of(NAME)
    wait_until(lambda: primary.replication() is not None, 15, "the standby streams")
    address, state, _, _ = primary.replication()
    claim(state == "streaming" and address in (west.pod.ip, west.pod.ip6),
          f"streaming; the primary sees the standby's own address, {address}")
    return primary, standby


def show_lag(primary, standby, seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        rows = primary.number("SELECT count(*) FROM rows")
        copied = standby.number("SELECT count(*) FROM rows")
        lag = primary.sql("SELECT round(extract(epoch FROM replay_lag) * 1000, 1) "
                          "FROM pg_stat_replication LIMIT 1") or "-"
        say(f"rows in east {rows:6}, in west {copied:6}, replication lag {lag} ms")
        time.sleep(0.5)


def kill_gateway(east, west, primary, standby):
    connection = primary.replication()[3]
    stream = Stream(east.pod.machine, west.pod.machine, west.pod.ip, east.world.folder)
    lost = east.carrier_to(west)
    time.sleep(1)
    step(f"Killing the node of east's gateway {lost}, which carries this traffic.")
    before = primary.number("SELECT count(*) FROM rows")
    east.crash_gateway(lost)
    show_lag(primary, standby, 3)
    now = east.carrier_to(west)
    claim(now is not None and now != lost, f"gateway {now} carries it now")
    report = stream.stop()
    claim(report.outage_ms < 1500, f"a UDP stream at 1 kHz beside it: {report}")
    wait_until(lambda: standby.number("SELECT count(*) FROM rows") > before, 5, "rows go on")
    claim(primary.replication()[3] == connection,
          "rows go on over the same TCP connection: the standby did not have to connect again")
    say("causewayctl status (east)")
    say(ctl(east, "status").stdout)


def promote(writer, primary, standby):
    step("Disaster in east: the primary is killed, the standby in west is promoted.")
    writer.stop()
    rows = writer.rows()
    wait_until(lambda: standby.number("SELECT count(*) FROM rows") == rows, 10, "all rows are there")
    primary.stop()
    standby.promote()
    standby.sql("INSERT INTO rows DEFAULT VALUES")
    count = standby.number("SELECT count(*) FROM rows")
    claim(count == rows + 1, f"west has all {rows} rows, is writable, and has row {count} now")


def run(world):
    east, west = raise_clusters(world)
    pair(east, west)
    primary, standby = start_database(east, west)
    step("Writing rows in east.")
    writer = Writer(primary)
    wait_until(lambda: standby.number("SELECT count(*) FROM rows") > 0, 10, "the first rows are in west")
    show_lag(primary, standby, 3)
    say("causewayctl status (west)")
    say(ctl(west, "status").stdout)
    kill_gateway(east, west, primary, standby)
    promote(writer, primary, standby)
    step("Taking everything down.")


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--build", default="build/release", help="where the binaries are")
    options = options.parse_args()
    if os.geteuid() != 0:
        sys.exit("demo.py makes network namespaces: run it as root")
    with World(options.build) as world:
        try:
            run(world)
        except (AssertionError, OSError) as error:
            print(f"\nThe demo failed: {error}\n\n{world.logs()}", file=sys.stderr)
            return 1
        folder, holders = world.folder, [machine.pid for machine in world.machines.values()]
    # The last process of a machine is reaped a moment later, by its new parent.
    wait_until(lambda: not any(alive(pid) for pid in holders), 5, "all machines are gone")
    claim(not folder.exists(), "nothing is left: no process, no namespace, no file")
    step("Done.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
