"""`overlay: wireguard`: the hop between nodes and gateways is WireGuard, too. Everything else is as with
VXLAN alone. East has an IPv4 underlay and west an IPv6 one. East's first worker has wireguard-go, all other
nodes have our engine."""

import contextlib
import os
import re
import signal
import time

import pytest

from fabric.attack import Catcher, VxlanDevice, beside_the_nodes, forge, token, udp, vxlan
from fabric.both_ways import BothWays
from fabric.kernel_state import difference, kernel_state
from fabric.site import Site, join, wait_until_reached
from fabric.traffic import Stream, ping
from fabric.wait import wait_until

FAMILIES = (4, 6)
HARD_CAP_MS = 2000
VXLAN, HOP = 4799, 4794


@pytest.fixture(scope="module")
def sites(world, tell):
    tell("raising two clusters with overlay: wireguard")
    options = {"overlay": "wireguard"}
    east = Site(world, "east", None, options, workers=2)
    west = Site(world, "west", None, options, underlay=6)
    for site in (east, west):
        for node in site.cluster.nodes:
            node.bare = kernel_state(node.machine)
    east.causeway.agent_of(east.cluster.workers[0]).config["nodeTunnel"] = {"driver": "uapi"}
    join(east, west)
    return east, west


@pytest.fixture(scope="module")
def neighbour(world, sites):
    east, _ = sites
    return beside_the_nodes(world, east.cluster,
                            f"fd43:5743:6e64::/64 via {east.pod.node.ip6}")


def meter(here, there, family=4):
    return Stream(here.pod.machine, there.pod.machine, there.pod.address(family),
                  here.world.folder)


def forwarded(edge, port):
    """The number of packets to the UDP port that the nodes' network has forwarded since the count began."""
    listed = edge.out("nft", "list", "table", "bridge", "count")
    return int(re.search(rf"dport {port} counter packets (\d+)", listed).group(1))


@contextlib.contextmanager
def counted(*sites):
    """Counts the packets that the nodes' networks forward to each port."""
    for site in sites:
        site.cluster.edge.run("nft", "-f", "-", stdin=f"""table bridge count {{
            chain passed {{ type filter hook forward priority 0;
              udp dport {VXLAN} counter
              udp dport {HOP} counter
            }}
            }}""")
    try:
        yield
    finally:
        for site in sites:
            site.cluster.edge.run("nft", "delete", "table", "bridge", "count")


def seen_on_the_nodes_networks(sites, family):
    """How many of 20 packets from east's worker to west's are readable on each nodes' network."""
    (east, west), text = sites, token()
    with (Catcher(east.cluster.edge, text) as at_east, Catcher(west.cluster.edge, text) as at_west,
          Catcher(west.pod.machine, text) as arrived):
        forge(east.pod.machine, [udp(east.pod.address(family), west.pod.address(family), 4000,
                                     4000, text)], count=20)
        # A prefix that moves meanwhile may cost some packets.
        wait_until(lambda: arrived.count >= 10, 10, "the packets arrive")
        return at_east.count, at_west.count


def says(site, node, words):
    """Waits until the node's RouteAgent has the words in its errors and its condition. The agent must be
    ready all the same."""
    def said():
        status = (site.store.get("RouteAgent", node.name) or {}).get("status", {})
        condition = {c["type"]: c for c in status.get("conditions", [])}.get("OverlayAgrees", {})
        return (any(words in error for error in status.get("errors", []))
                and condition.get("status") == "False" and words in condition["message"])
    wait_until(said, 15, f"{node.name} says: {words}")
    wait_until(lambda: site.causeway.agent_of(node).why_not_ready() == "", 10, "its agent is ready")


def agrees(site, *nodes):
    wait_until(lambda: all(
        not site.store.get("RouteAgent", node.name)["status"].get("errors")
        for node in nodes or site.cluster.nodes), 20, "no node leaves another one out")


@contextlib.contextmanager
def mended_by(mend, site, peer):
    """The code in the block leaves a node out. Then `mend` runs, all nodes agree again, and traffic flows."""
    try:
        yield
    finally:
        mend()
    agrees(site)
    wait_until_reached(site, peer)


@pytest.mark.parametrize("family", FAMILIES)
def test_no_clear_frame_crosses_the_nodes_network(sites, family):
    with counted(*sites):
        assert seen_on_the_nodes_networks(sites, family) == (0, 0)
        for site in sites:
            assert forwarded(site.cluster.edge, HOP) > 20
            assert forwarded(site.cluster.edge, VXLAN) == 0


def test_the_devices_mtu_leaves_room_for_both_headers(sites):
    for here, there, mtu in ((*sites, 1370), (*sites[::-1], 1350)):
        shown = here.pod.node.machine.out("ip", "link", "show", "cw-vx")
        assert f"mtu {mtu}" in shown, shown
    east, west = sites
    assert ping(west.pod.machine, east.pod.ip, size=1350 - 28, df=True)
    assert ping(east.pod.machine, west.pod.ip, size=1350 - 28, df=True)


@pytest.mark.parametrize("family", FAMILIES)
def test_injected_vxlan_is_refused(sites, neighbour, family):
    """The attacker has addresses, MACs and VNI. It lacks a node's key."""
    east, west = sites
    worker, gateway = east.pod.node, east.cluster.gateway_nodes[0]
    source, victim = west.pod.address(family), east.pod.address(family)
    text, ordinary = token(), token()
    frame = vxlan(udp(source, victim, 4000, 4000, text), VxlanDevice(gateway).mac,
                  VxlanDevice(worker).mac, VxlanDevice(worker).vni)
    inside = {node: hop_address(node) for node in (worker, gateway)}
    packets = [udp(a, b, 40000, VXLAN, frame) for a, b in (
        (gateway.ip, worker.ip), (gateway.ip6, worker.ip6),
        (inside[gateway], inside[worker]), (neighbour_ip6(), inside[worker]),
        (inside[gateway], worker.ip6))]
    packets.append(udp(gateway.ip, worker.ip, HOP, HOP, frame))  # to WireGuard's own port
    stream = meter(west, east, family)
    with Catcher(east.pod.machine, text) as caught, Catcher(east.pod.machine, ordinary) as good:
        assert forge(neighbour, packets) > 0
        forge(west.pod.machine, [udp(source, victim, 4000, 4000, ordinary)])
        wait_until(lambda: good.count > 0, 10, "an ordinary packet arrives")
        assert caught.count == 0, "the attack was delivered"
    report = stream.stop()
    assert report.lost == 0 and report.received > 20, str(report)


def hop_address(node):
    shown = node.machine.out("ip", "-6", "-o", "address", "show", "dev", "cw-nd", "scope", "global")
    return shown.split()[3].split("/")[0]


def neighbour_ip6():
    return "fd00:20:1::200"


@pytest.mark.timing
def test_a_gateways_crash_heals_as_without_it(sites, tell):
    east, west = sites
    traffic, lost = BothWays(east, west), east.carrier_to(west)
    east.crash_gateway(lost)
    try:
        reports, _, longest = traffic.after_move(east, west, lost)
        tell(f"crash of a gateway: there {reports[0]}; back {reports[1]}; TCP waited {longest:.0f} ms")
        assert max(report.outage_ms for report in reports) <= HARD_CAP_MS
    finally:
        east.recover_gateway(lost)
    wait_until_reached(east, west)


@pytest.mark.timing
def test_an_agents_restart_interrupts_its_own_hop_briefly(sites, tell):
    """The fabric's kernel has no WireGuard, so the engine is in the agent's process."""
    east, west = sites
    stream = meter(east, west)
    with counted(east):
        east.causeway.agent_of(east.pod.node).restart()
        wait_until_reached(east, west)
        report = stream.stop()
        assert forwarded(east.cluster.edge, VXLAN) == 0
    tell(f"the agent of the pod's node restarts: {report}")
    assert report.outage_ms <= 3000
    assert east.world.watch.take_clear() == []


@pytest.mark.timing
def test_with_a_driver_outside_of_the_agent_a_restart_interrupts_nothing(sites, tell):
    east, west = sites
    here, there = east.worker_pods[0], west.pod
    agent = east.causeway.agent_of(here.node)
    assert here.node.machine.pids("wireguard-go")
    stream = Stream(here.machine, there.machine, there.ip, east.cluster.folder)
    agent.restart()
    wait_until(lambda: agent.why_not_ready() == "", 20, "the agent is back")
    report = stream.stop()
    tell(f"the agent of a node with wireguard-go restarts: {report}")
    assert report.outage_ms <= 500  # with the engine, which ends with its agent, it is about twice as long


@pytest.mark.timing
def test_a_program_that_hangs_stalls_no_agent(sites, tell):
    """wireguard-go does not run for 8 s. Meanwhile its agent starts again and needs it. The node's hop stands
    still, but the agent does not."""
    east, west = sites
    here = east.worker_pods[0]
    machine, agent = here.node.machine, east.causeway.agent_of(here.node)
    programs, reasons, metrics = machine.pids("wireguard-go"), [], ""
    assert programs
    try:
        for pid in programs:
            os.kill(pid, signal.SIGSTOP)
        agent.restart()
        wait_until(lambda: agent.why_not_ready() is not None, 5, "the status endpoint is there")
        end = time.monotonic() + 8
        while time.monotonic() < end:
            reasons.append(agent.why_not_ready())
            time.sleep(0.1)
        metrics = machine.out("curl", "-s", f"http://{agent.config['status']}/metrics")
    finally:
        for pid in programs:
            os.kill(pid, signal.SIGCONT)
    tell("longest stall of the agent's loop: %.3f s" % agent.loop_stall())
    assert agent.loop_stall() < 0.5
    assert None not in reasons, "the status endpoint gave no answer"
    assert any("driver uapi does not answer" in one for one in reasons), reasons
    for ordinal in (0, 1):
        assert f'causeway_routeagent_gateway_up{{gateway="{ordinal}"}} 0' in metrics, (
            "its probes have found out that its hop is cut")
    wait_until(lambda: agent.why_not_ready() == "", 20, "the agent is ready again")
    wait_until(lambda: ping(here.machine, west.pod.ip), 20, "traffic flows again")
    assert machine.pids("wireguard-go") == programs, "no program was started again"


def test_a_device_that_is_taken_away_comes_back(sites):
    east, west = sites
    for node in (*east.cluster.workers, east.cluster.gateway_nodes[0]):
        node.machine.run("ip", "link", "del", "cw-nd")
        wait_until(lambda node=node: ping(node.pods[0].machine, west.pod.ip), 20,
                   f"traffic of {node.name} goes on")
    wait_until_reached(east, west)
    for agent in east.causeway.agents:
        wait_until(lambda agent=agent: agent.why_not_ready() == "", 20, "the agent is content")


def test_a_node_without_a_published_key_is_named_and_left_out(sites):
    east, west = sites
    agent, worker = east.causeway.agent_of(east.pod.node), east.pod.node
    agent.stop()
    path = east.store.path("RouteAgent", worker.name)
    kept = path.read_text()
    path.unlink()
    gateway = east.causeway.agents[1]
    gateway.restart()  # a new process, without the old key

    def publish():
        if not path.exists():
            path.write_text(kept)
        agent.start()
    with mended_by(publish, east, west):
        says(east, east.cluster.gateway_nodes[1], f"node {worker.name} has published no key")


def test_nodes_with_different_settings_say_so_on_both_sides(sites):
    east, west = sites
    worker, gateway = east.pod.node, east.cluster.gateway_nodes[1]
    agent = east.causeway.agent_of(worker)

    def set_overlay(mode):
        agent.config["overlay"] = mode
        agent.restart()
    set_overlay("vxlan")
    with mended_by(lambda: set_overlay("wireguard"), east, west):
        says(east, worker, f"node {gateway.name} has overlay wireguard, this node vxlan")
        says(east, gateway, f"node {worker.name} has overlay vxlan, this node wireguard")
        assert not ping(east.pod.machine, west.pod.ip)
        listed = gateway.machine.out("curl", "-s", "http://127.0.0.1:9702/metrics")
        assert (f'causeway_routeagent_overlay_left_out{{node="{worker.name}",ours="wireguard",'
                'theirs="vxlan"} 1') in listed


def test_another_major_version_is_left_out_in_words_and_a_minor_one_is_not(sites):
    """The gateway's node publishes another version, as a later release would."""
    east, west = sites
    worker, lost = east.pod.node, east.cluster.gateway_nodes[0]
    agent = east.causeway.agents[0]
    agent.kill()  # otherwise it would write its own version again
    spec = east.store.get("RouteAgent", lost.name)
    with mended_by(agent.start, east, west):
        for version, apart in (("1.9", False), ("2.0", True), ("1.9", False)):
            spec["spec"]["overlay"]["version"] = version
            east.store.put(spec)
            wait_until(lambda apart=apart: (lost.ip in peers_of(worker)) != apart, 15,
                       f"version {version}: the worker {'does not talk' if apart else 'talks'}")
            if apart:
                says(east, worker, f"node {lost.name} speaks overlay version 2.0, this node 1.0")
        agrees(east, worker)


def peers_of(node):
    """The endpoints of the node's WireGuard peers."""
    return node.machine.out("wg", "show", "cw-nd", "endpoints")


def test_back_to_plain_vxlan_no_device_is_left_and_the_frames_are_clear(sites, neighbour):
    """The control of the scenarios above: without WireGuard the frames that they look for are there."""
    east, west = sites
    for site in sites:
        for agent in site.causeway.agents:
            agent.config["overlay"] = "vxlan"
            agent.restart()
    wait_until_reached(east, west)
    for site in sites:
        agrees(site)
        for node in site.cluster.nodes:
            assert "cw-nd" not in node.machine.out("ip", "link", "show")
            assert "fd43:" not in node.machine.out("ip", "-6", "route", "show", "table", "all")
    for family in FAMILIES:
        assert min(seen_on_the_nodes_networks(sites, family)) > 0
    worker, gateway, text = east.pod.node, east.cluster.gateway_nodes[0], token()
    frame = vxlan(udp(west.pod.ip, east.pod.ip, 4000, 4000, text), VxlanDevice(gateway).mac,
                  VxlanDevice(worker).mac, VxlanDevice(worker).vni)
    with Catcher(east.pod.machine, text) as caught:
        forge(neighbour, [udp(gateway.ip, worker.ip, 40000, VXLAN, frame)])
        wait_until(lambda: caught.count > 0, 10, "without WireGuard the injection is delivered")


def test_cleanup_leaves_nothing(sites):
    east, _ = sites
    for agent in east.causeway.agents:
        agent.config["overlay"] = "wireguard"
        agent.restart()
    agrees(east)
    for daemon in east.causeway.all:
        daemon.stop()
    for gateway in east.causeway.gateways:
        gateway.cleanup()
    east.world.watch.end(*(site.cluster for site in sites))
    for agent in east.causeway.agents:
        agent.cleanup("--open")
    for node in east.cluster.nodes:
        left = difference(node.bare, kernel_state(node.machine))
        assert not left, f"{node.name}:\n" + "\n".join(left)
        wait_until(lambda node=node: not node.machine.pids("wireguard-go"), 5, "no program is left")
