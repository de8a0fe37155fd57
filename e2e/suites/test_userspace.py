"""Another userspace WireGuard (Debian's wireguard-go) as the tunnel, over its socket. All other scenarios run
on the choice of `auto`, which is our own engine on a host without kernel WireGuard."""

import os
import signal
import time

import pytest

from fabric.site import Site, join, wait_until_reached
from fabric.traffic import MIB, Session, ping, transfer
from fabric.wait import wait_until

UAPI = {"tunnel": {"driver": "uapi"}}


def driver_of(site):
    log = site.causeway.gateways[0].process.output()
    return next(word.removeprefix("driver=") for word in log.split() if word.startswith("driver="))


@pytest.fixture(scope="module")
def both(world):
    sites = Site(world, "north", UAPI), Site(world, "south", UAPI)
    join(*sites)
    return sites


def test_traffic_passes_both_ways(both):
    assert [driver_of(site) for site in both] == ["uapi", "uapi"]
    for here, there in (both, both[::-1]):
        for family in (4, 6):
            transfer(here.pod.machine, there.pod.address(family), MIB)


def test_sessions_outlive_the_crash_of_a_gateway(both):
    north, south = both
    lost = north.carrier_to(south)
    session = Session(north.pod.machine, south.pod.ip)
    north.crash_gateway(lost)
    wait_until(lambda: north.carrier_to(south) not in (None, lost), 10, "the other gateway carries")
    wait_until(lambda: ping(north.pod.machine, south.pod.ip), 10, "traffic flows again")
    session.finish()
    north.recover_gateway(lost)
    wait_until_reached(north, south)


def test_a_restarted_gateway_takes_over_the_running_program(both):
    north, south = both
    machine = north.cluster.gateway_nodes[0].machine
    before = machine.pids("wireguard-go")
    north.causeway.gateways[0].kill()
    assert before and machine.pids("wireguard-go") == before
    north.causeway.gateways[0].start()
    wait_until_reached(north, south)
    assert machine.pids("wireguard-go") == before


@pytest.mark.timing
def test_a_program_that_hangs_stalls_no_loop(both, tell):
    """wireguard-go does not run for 4 s. The gateway's tunnels stand still, but the gateway does not."""
    north, south = both
    wait_until(lambda: north.all_carriers_known(south), 20, "carriers are known")
    ordinal = north.carrier_to(south)
    gateway = north.causeway.gateways[ordinal]
    machine = north.cluster.gateway_nodes[ordinal].machine
    wait_until(lambda: gateway.why_not_ready() == "", 20, "the gateway is ready")
    programs = machine.pids("wireguard-go")
    agent = north.causeway.agent_of(north.pod.node)
    up = f'causeway_routeagent_gateway_up{{gateway="{ordinal}"}}'
    wait_until(lambda: agent.metric(up) == 1, 20, "the node's probes find the gateway")
    unanswered, reasons = [], []
    try:
        for pid in programs:
            os.kill(pid, signal.SIGSTOP)
        end = time.monotonic() + 4
        while time.monotonic() < end:
            unanswered += [] if agent.metric(up) == 1 else [end - time.monotonic()]
            reasons.append(gateway.why_not_ready())
            time.sleep(0.1)
    finally:
        for pid in programs:
            os.kill(pid, signal.SIGCONT)
    tell("longest stall of the gateway's loop: %.3f s" % gateway.loop_stall())
    assert gateway.loop_stall() < 0.3
    assert unanswered == [], "the node's probes found no gateway"
    assert None not in reasons, "the status endpoint gave no answer"
    assert any("driver uapi does not answer" in one for one in reasons), reasons
    wait_until(lambda: gateway.why_not_ready() == "", 20, "the gateway is ready again")
    wait_until_reached(north, south)
    assert machine.pids("wireguard-go") == programs, "no program was started again"


def test_the_engine_and_wireguard_go_understand_each_other(own_world):
    ours, theirs = Site(own_world, "ours"), Site(own_world, "theirs", UAPI)
    join(ours, theirs)
    assert (driver_of(ours), driver_of(theirs)) == ("engine", "uapi")
    for here, there in ((ours, theirs), (theirs, ours)):
        for family in (4, 6):
            transfer(here.pod.machine, there.pod.address(family), 4 * MIB)
