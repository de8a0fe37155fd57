"""Another userspace WireGuard (Debian's wireguard-go) as the tunnel, over its socket; everywhere else the
scenarios run on what `auto` takes, which is our own engine on a host without kernel WireGuard."""

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


def test_the_engine_and_wireguard_go_understand_each_other(own_world):
    ours, theirs = Site(own_world, "ours"), Site(own_world, "theirs", UAPI)
    join(ours, theirs)
    assert (driver_of(ours), driver_of(theirs)) == ("engine", "uapi")
    for here, there in ((ours, theirs), (theirs, ours)):
        for family in (4, 6):
            transfer(here.pod.machine, there.pod.address(family), 4 * MIB)
