"""Daemons whose disk stalls, and daemons that did not run for a while: neither moves traffic."""

import time

import pytest

from fabric.services import export, make_service
from fabric.site import carriers, wait_until_settled
from fabric.slow_disk import SlowDisk
from fabric.traffic import TCP_PORT, Stream
from fabric.wait import stays_true, wait_until

pytestmark = pytest.mark.timing


LOOP_STALL = 0.5  # seconds; on a busy machine a stall is some hundredths (docs/adr/0011)


def daemons(*sites):
    return [d for site in sites for d in site.causeway.gateways + site.causeway.agents]


def said(daemon, words, since):
    return [line for line in daemon.process.output()[since:].splitlines() if words in line]


@pytest.fixture(scope="module")
def slow(sites):
    """All gateways and agents of both sites, started again on a disk that can stall."""
    disk = SlowDisk(sites[0].world)
    for daemon in daemons(*sites):
        daemon.stop()
        daemon.env = disk.env
        daemon.start()
    yield disk
    disk.stall(0)


@pytest.mark.parametrize("milliseconds", [700, 2000])
def test_a_disk_that_stalls_moves_nothing(east, west, slow, milliseconds, tell):
    """Every fsync of every daemon takes that long, while there is much to write."""
    wait_until_settled(east, west)
    before = carriers(east, west)
    marks = {d.name: len(d.process.output()) for d in daemons(east, west)}
    streams = [Stream(a.pod.machine, b.pod.machine, b.pod.ip, a.world.folder)
               for a, b in ((east, west), (west, east))]
    slow.stall(milliseconds)
    try:
        end = time.monotonic() + 14
        turn = 0
        while time.monotonic() < end:
            for site in (east, west):
                make_service(site.cluster, "shop", f"slow-{turn % 4}", {"echo": TCP_PORT},
                             {f"slow-{turn % 4}-0": site.pod})
                export(site.cluster, "shop", f"slow-{turn % 4}")
            turn += 1
            time.sleep(0.2)
    finally:
        slow.stall(0)
    longest = max(d.loop_stall() for d in daemons(east, west))
    tell(f"longest stall of a loop: {longest:.3f} s")
    assert longest < LOOP_STALL, "a loop waited for the disk"
    reports = [stream.stop() for stream in streams]
    assert [r.lost for r in reports] == [0, 0], [str(r) for r in reports]
    assert carriers(east, west) == before
    for daemon in daemons(east, west):
        for words in ("tunnel lost", "prefixes move", "gateway chosen"):
            assert said(daemon, words, marks[daemon.name]) == [], daemon.name


def delay_wan(site, milliseconds):
    """A long way: after a pause several requests are without an answer."""
    site.cluster.edge.sh(f"tc qdisc replace dev wan root netem delay {milliseconds}ms limit 20000"
                         if milliseconds else "tc qdisc del dev wan root || true")


@pytest.fixture
def far(east, west, tell):
    """The clusters are 200 ms apart, where this kernel can do that (netem). The unit tests in
    tests/tunnel/pause_test.cc cover every distance."""
    try:
        delay_wan(east, 100)
        delay_wan(west, 100)
    except AssertionError:
        tell("this kernel has no netem: the clusters are near each other")
    yield
    delay_wan(east, 0)
    delay_wan(west, 0)


@pytest.mark.parametrize("seconds", [0.35, 2])
def test_a_gateway_that_was_paused_blames_no_other(east, west, far, seconds):
    """Others may leave it meanwhile, rightly. It must not report that the others are gone."""
    wait_until_settled(east, west)
    for ordinal, gateway in enumerate(east.causeway.gateways):
        mark = len(gateway.process.output())
        gateway.process.pause()
        time.sleep(seconds)
        gateway.process.resume()
        stays_true(lambda: said(gateway, "tunnel lost", mark) == [], 2,
                   f"gateway {ordinal} loses no tunnel")
        assert said(gateway, "prefixes move", mark) == []


def test_an_agent_that_was_paused_moves_nothing(east, west, far):
    wait_until_settled(east, west)
    before = carriers(east, west)
    for agent in east.causeway.agents:
        mark = len(agent.process.output())
        agent.process.pause()
        time.sleep(2)
        agent.process.resume()
        stays_true(lambda: said(agent, "gateway chosen", mark) == [], 2, f"{agent.name} moves nothing")
    assert carriers(east, west) == before


def test_a_crash_beside_a_pause_is_found(east, west):
    """A gateway dies while an agent is paused. The agent finds it within its usual time."""
    wait_until_settled(east, west)
    carrier = east.carrier_to(west)
    agent = east.causeway.agent_of(east.pod.node)
    agent.process.pause()
    time.sleep(0.5)
    east.causeway.gateways[carrier].kill()
    time.sleep(1)
    agent.process.resume()
    try:
        wait_until(lambda: east.carrier_to(west) not in (carrier, None), 1.5,
                   "the agent takes the other gateway")
    finally:
        east.causeway.gateways[carrier].start()


def test_a_loop_says_when_it_did_not_turn(east, west):
    """The metric on which the scenario of the disk relies. West's daemons ran all the time."""
    agent = east.causeway.agents[0]
    agent.process.pause()
    time.sleep(3)
    agent.process.resume()
    longest = wait_until(lambda: agent.loop_stall() > 2.5 and agent.loop_stall(), 5, "its pause is in the metric")
    assert longest < 3 + LOOP_STALL
    for daemon in daemons(west):
        assert daemon.loop_stall() < LOOP_STALL, daemon.name
