"""The fabric itself: the facts that the other scenarios rely on."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from fabric.cluster import Cluster
from fabric.kernel_state import difference, kernel_state
from fabric.traffic import Session, Stream, largest_ping, let_flow, ping, report_of, serve_tcp, transfer
from fabric.wait import wait_until

FABRIC = pathlib.Path(__file__).resolve().parents[1]

ABANDONED = """
import sys
sys.path.insert(0, sys.argv[1])
from fabric.cluster import Cluster
from fabric.world import World
world = World(".")
cluster = Cluster(world, "lost")
pod = cluster.workers[0].pod("p")
stray = pod.machine.spawn("stray", "sh", "-c", "setsid sleep 7919 & setsid sleep 7919")
stray.pid
print(world.folder, *[machine.pid for machine in world.machines.values()], flush=True)
sys.stdin.read()
"""


def test_pods_need_causeway_to_reach_another_cluster(own_world):
    east, west = Cluster(own_world, "east"), Cluster(own_world, "west")
    a, b = east.workers[0].pod("a"), west.workers[0].pod("b")
    near = east.gateway_nodes[0].pod("near")
    assert ping(a.machine, near.ip) and ping(a.machine, near.ip6)
    assert not ping(a.machine, b.ip) and not ping(a.machine, b.ip6)
    # The sniffer saw both packets. They are no fault, because the clusters are not paired.
    wait_until(lambda: {b.ip, b.ip6} <= {line.split()[3] for line in own_world.watch.seen()}, 5,
               "the sniffer sees clear packets")
    assert own_world.watch.take_clear() == []
    own_world.watch.begin(east, west)
    ping(a.machine, b.ip)
    ping(b.machine, a.ip)
    wait_until(lambda: own_world.watch.seen()[-1].split()[1] == "west", 5, "it sees them again")
    clear = own_world.watch.take_clear()
    assert clear and {(line.split()[1], line.split()[3]) for line in clear} == {("east", b.ip)}
    own_world.watch.end(east, west)
    own_world.watch.clear = 0  # these packets were sent on purpose
    # Nodes reach each other over the WAN; a pod's packets to it are masqueraded.
    serve_tcp(west.workers[0].machine)
    assert transfer(a.machine, west.workers[0].ip, 5000).source == a.node.ip


def test_nat_hides_a_cluster(own_world):
    east, west = Cluster(own_world, "east"), Cluster(own_world, "west", nat=True)
    assert not ping(east.workers[0].machine, west.workers[0].ip)
    serve_tcp(east.workers[0].machine)
    done = transfer(west.workers[0].machine, east.workers[0].ip, 5000)
    assert done.source == "192.0.2.9", "the NAT's own address"


@pytest.mark.timing
def test_a_cut_is_seen_by_stream_and_session(own_world):
    east = Cluster(own_world, "east")
    a, b = east.workers[0].pod("a"), east.gateway_nodes[0].pod("b")
    serve_tcp(b.machine)
    session, stream = Session(a.machine, b.ip), Stream(a.machine, b.machine, b.ip,
                                                       own_world.folder)
    let_flow(stream, packets=500)
    a.node.cut()
    time.sleep(0.5)
    assert not ping(a.machine, b.ip)
    a.node.mend()
    let_flow(stream, packets=500)
    report = stream.stop()
    echoes, longest = session.finish()
    assert report.outage_ms > 450 and report.lost > 400, report
    assert echoes > 20 and longest > 400
    assert largest_ping(a.machine, b.ip) == 1472


def test_the_meter_tells_loss_delay_and_a_late_sender_apart():
    ms = 1_000_000
    steady = [(n, n * ms, n * ms + 50_000) for n in range(1000)]
    assert report_of(steady).outage_ms == 0 and report_of(steady).lost == 0
    gap = steady[:300] + steady[700:]
    assert report_of(gap).lost == 400 and round(report_of(gap).outage_ms) == 401
    late_sender = steady[:300] + [(n, sent + 90 * ms, arrived + 90 * ms)
                                  for n, sent, arrived in steady[300:]]
    assert report_of(late_sender).outage_ms == 0
    held_back = steady[:300] + [(n, sent, max(arrived, 400 * ms)) for n, sent, arrived in
                                steady[300:]]
    assert 98 < report_of(held_back).outage_ms < 101 and report_of(held_back).lost == 0
    swapped = steady[:10] + [steady[11], steady[10]] + steady[12:]
    assert report_of(swapped).reordered == 1 and report_of(swapped).lost == 0


def test_kernel_state_shows_what_changed(own_world):
    node = Cluster(own_world, "east").workers[0]
    before = kernel_state(node.machine)
    assert difference(before, kernel_state(node.machine)) == []
    node.machine.sh("ip link add d0 type bridge; ip route add 10.9.0.0/24 dev eth0 table 77; "
                    "ip nexthop add id 9 dev eth0; ip rule add priority 9 lookup 77; "
                    "nft add table inet mine; ip neigh add 172.20.1.77 lladdr 2:0:0:0:0:1 dev eth0")
    found = "\n".join(difference(before, kernel_state(node.machine)))
    for trace in ("d0:", "10.9.0.0/24", "id 9", "lookup 77", "table inet mine", "172.20.1.77"):
        assert trace in found


def test_a_run_that_is_killed_leaves_nothing():
    run = subprocess.Popen([sys.executable, "-c", ABANDONED, str(FABRIC)], text=True,
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    folder, *pids = run.stdout.readline().split()
    assert os.path.isdir(folder) and all(os.path.exists(f"/proc/{pid}") for pid in pids)
    wait_until(strays, 10, "the stray processes run")
    run.send_signal(signal.SIGKILL)
    run.wait(10)
    wait_until(lambda: not os.path.exists(folder), 10, "the folder is removed")
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids), 10, "machines end")
    wait_until(lambda: not strays(), 10, "what ran inside ends")
    run.stdout.close()
    run.stdin.close()


def strays():
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"7919" in entry.read_bytes().split(b"\0"):
                found.append(entry)
        except OSError:
            pass
    return found
