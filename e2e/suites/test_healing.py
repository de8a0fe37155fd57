"""Restarts, drift and a store that goes away: the clusters heal by themselves."""

import shutil
import time

import pytest

from fabric.dns import ask
from fabric.kernel_state import difference, kernel_state
from fabric.services import export, make_service, remove_service, share
from fabric.site import Site, join, wait_until_reached, wait_until_settled
from fabric.traffic import TCP_PORT, Session, ping, transfer
from fabric.wait import stays_true, wait_until

NAME = "web.shop.svc.clusterset.local"


@pytest.fixture(scope="module", autouse=True)
def exported(sites):
    """One exported Service, so that names have to heal, too."""
    east, west = sites
    make_service(east.cluster, "shop", "web", {"echo": TCP_PORT}, {"web-0": east.pod})
    export(east.cluster, "shop", "web")
    wait_until(lambda: resolves(east, west), 15, "the exported name resolves")


def resolves(east, west):
    return ask(west.pod.machine, west.causeway.dns, NAME).data("A") == [east.pod.ip]


def everything_works(east, west):
    wait_until_reached(east, west)
    wait_until_reached(west, east)
    wait_until(lambda: resolves(east, west), 15, "the exported name resolves")
    for site, other in ((east, west), (west, east)):
        done = transfer(site.pod.machine, other.pod.ip, 50_000)
        assert done.source == site.pod.ip
        for daemon in site.causeway.all:
            wait_until(lambda daemon=daemon: daemon.why_not_ready() == "", 30,
                       f"{daemon.name} is ready")


def across_restart(daemons, end, verify):
    """Checks before, while the daemons are away and come back, and after."""
    verify()
    for daemon in daemons:
        end(daemon)
    time.sleep(0.3)  # the time for which they are away
    for daemon in daemons:
        daemon.start()
    verify()


ENDS = {"stopped": lambda daemon: daemon.stop(), "killed": lambda daemon: daemon.kill()}
WHICH = {
    "a gateway": lambda c: [c.gateways[0]],
    "both gateways": lambda c: c.gateways,
    "a gateway's route agent": lambda c: [c.agents[0]],
    "the worker's route agent": lambda c: [c.agents[-1]],
    "discovery": lambda c: [c.discovery],
    "all daemons of the cluster": lambda c: c.all,
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("which", WHICH)
def test_a_restart_heals(east, west, which, end):
    across_restart(WHICH[which](west.causeway), ENDS[end], lambda: everything_works(east, west))


def test_the_data_path_outlives_the_daemons_of_a_node(east, west):
    """A route agent's stop or crash leaves its kernel objects in place."""
    wait_until_settled(east, west)
    agent = east.causeway.agent_of(east.pod.node)
    session = Session(east.pod.machine, west.pod.ip)
    agent.kill()
    try:
        stays_true(lambda: ping(east.pod.machine, west.pod.ip), 2, "traffic flows without it")
    finally:
        agent.start()
    wait_until(lambda: agent.why_not_ready() == "", 15, "the agent is ready again")
    session.finish()


def test_a_second_start_changes_nothing(east, west):
    node = east.pod.node
    agent = east.causeway.agent_of(node)
    wait_until(lambda: agent.why_not_ready() == "", 15, "the agent is ready")
    before = kernel_state(node.machine)
    agent.restart()
    wait_until(lambda: agent.why_not_ready() == "", 15, "the agent is ready again")
    assert difference(before, kernel_state(node.machine)) == []


DRIFT = {
    "a route to the remote cluster":
        "ip route del $(ip route show table 7487 | head -1 | cut -d' ' -f1) table 7487",
    "all routes to the remote cluster":  # `ip route flush` cannot remove IPv6 routes by nexthop objects
        "for f in -4 -6; do ip $f route show table 7487 | "
        "while read dst rest; do ip $f route del $dst table 7487; done; done",
    "the rule": "ip rule del priority 92",
    "the rule of IPv6": "ip -6 rule del priority 92",
    "the next hops": "ip nexthop | while read id number rest; do ip nexthop del id $number; done",
    "the nft table": "nft delete table inet causeway",
    "a rule of the nft table": "nft flush table inet causeway",
    "the FDB": "bridge fdb show dev cw-vx | while read mac rest; do "
               "bridge fdb del $mac dev cw-vx dst ${rest#*dst } 2>/dev/null || "
               "bridge fdb del $mac $(echo $rest | sed 's/ via .*//') || true; done",
    "the neighbours": "ip -6 neighbour flush dev cw-vx nud permanent",
    "the VXLAN device": "ip link del cw-vx",
    "the VXLAN device, down": "ip link set cw-vx down",
    "the VXLAN device's MTU": "ip link set cw-vx mtu 1280",
}


@pytest.mark.parametrize("what", DRIFT)
def test_drift_on_a_worker_is_repaired(east, west, what):
    node = east.pod.node
    agent = east.causeway.agent_of(node)
    before = kernel_state(node.machine)
    agent.process.pause()  # it would repair before the test looks
    try:
        node.machine.sh(DRIFT[what])
        assert difference(before, kernel_state(node.machine)), f"removing {what} changed nothing"
    finally:
        agent.process.resume()
    wait_until(lambda: repaired(before, node), 10, f"{what} is restored")
    wait_until_reached(east, west, 5)


GATEWAY_DRIFT = {
    "transit routes": "ip route flush table 7486; ip -6 route flush table 7486",
    "the transit rules": "ip rule del priority 91; ip -6 rule del priority 91",
    "routes from the tunnel": "ip route flush table 7485; ip -6 route flush table 7485",
    "the rules from the tunnel": "ip rule del priority 90; ip -6 rule del priority 90",
    "the gateway's nft table": "nft delete table inet causeway-gateway",
    "a peer of the tunnel": "wg set cw-wg peer $(wg show cw-wg peers | head -1) remove",
    "the tunnel device, down": "ip link set cw-wg down",
}


@pytest.mark.parametrize("what", GATEWAY_DRIFT)
def test_drift_on_a_gateway_is_repaired(east, west, what):
    node = east.cluster.gateway_nodes[0]
    before = kernel_state(node.machine)
    peers = sorted(node.machine.out("wg", "show", "cw-wg", "peers").split())
    node.machine.sh(GATEWAY_DRIFT[what])
    wait_until(lambda: repaired(before, node) and peers == sorted(
        node.machine.out("wg", "show", "cw-wg", "peers").split()), 10, f"{what} restored")
    wait_until_reached(east, west)


def repaired(before, node):
    """The same state except for interface numbers, which differ after a device was made again."""
    left = difference(strip_numbers(before), strip_numbers(kernel_state(node.machine)))
    assert not left, left
    return True


def strip_numbers(state):
    def plain(line):
        head, _, rest = line.partition(": ")
        line = rest if head.strip().isdigit() else line
        return "" if "link/ether" in line and "brd" in line else line
    return {command: sorted(plain(line) for line in lines) for command, lines in state.items()}


def test_foreign_state_is_left_alone(east, west):
    """The kernel objects of other programs survive our repairs."""
    node = east.pod.node
    node.machine.sh("ip route add 203.0.113.0/24 via 172.20.1.1; ip rule add priority 500 "
                    "from 203.0.113.9 lookup 500; nft add table inet others")
    east.causeway.agent_of(node).restart()
    wait_until(lambda: east.causeway.agent_of(node).why_not_ready() == "", 15, "ready")
    wait_until_reached(east, west)
    state = node.machine.sh("ip route; ip rule; nft list tables")
    assert "203.0.113.0/24" in state and "500:" in state and "table inet others" in state
    node.machine.sh("ip route del 203.0.113.0/24; ip rule del priority 500; "
                    "nft delete table inet others")


def test_a_store_that_goes_away_stops_nothing(east, west):
    """The API is gone: traffic and names go on, and the loss of a gateway still heals."""
    folder = west.store.folder
    away = folder.with_name("store-away")
    folder.rename(away)
    try:
        stays_true(lambda: ping(west.pod.machine, east.pod.ip), 2, "traffic flows")
        assert resolves(east, west)
        lost = west.carrier_to(east)
        west.cluster.gateway_nodes[lost].cut()
        wait_until(lambda: west.carrier_to(east) not in (None, lost), 5, "the other one carries")
        wait_until(lambda: ping(west.pod.machine, east.pod.ip), 5, "traffic goes by the other one")
    finally:
        for node in west.cluster.gateway_nodes:
            node.mend()
        if folder.exists():
            shutil.rmtree(folder)
        away.rename(folder)
    for daemon in west.causeway.all:
        assert daemon.running(), f"{daemon.name} gave up: {daemon.process.output()[-500:]}"
    make_service(east.cluster, "shop", "later", {"echo": TCP_PORT}, {"l-0": east.pod})
    export(east.cluster, "shop", "later")
    wait_until(lambda: ask(west.pod.machine, west.causeway.dns, "later.shop.svc.clusterset.local")
               .data("A"), 30, "news arrive again")
    everything_works(east, west)


def test_names_follow_the_tunnels_without_a_store(east, west, tell):
    """All API servers of both clusters are gone, then one cluster: its endpoints leave the names."""
    name, dns = "both.shop.svc.clusterset.local", west.causeway.dns
    share("shop", "both", east.cluster, west.cluster)
    own = {}
    for site in (east, west):
        own[site.id] = site.worker_pods[0]
        make_service(site.cluster, "shop", "both", {"echo": TCP_PORT}, {"b-0": own[site.id]},
                     headless=True)
        export(site.cluster, "shop", "both")

    def names():
        return ask(west.pod.machine, dns, name).data("A")
    both = sorted(pod.ip for pod in own.values())
    wait_until(lambda: names() == both, 15, "both clusters serve the name")
    away = {site.store.folder: site.store.folder.with_name("store-away") for site in (east, west)}
    for folder, place in away.items():
        folder.rename(place)
    try:
        stays_true(lambda: names() == both, 2, "names stay")
        began = time.monotonic()
        for gateway in east.causeway.gateways:
            gateway.kill()
        wait_until(lambda: not ping(west.pod.machine, east.pod.ip), 5, "the tunnels are dead", every=0.02)
        wait_until(lambda: names() == [own["west"].ip], 5, "names follow", every=0.02)
        tell(f"without a store, {time.monotonic() - began:.1f} s after all gateways of a cluster were "
             "killed its endpoints are out of the other's names")
    finally:
        for folder, place in away.items():
            if folder.exists():
                shutil.rmtree(folder)
            place.rename(folder)
        for gateway in east.causeway.gateways:
            if not gateway.running():
                gateway.start()
    wait_until(lambda: names() == both, 30, "both clusters serve the name again")
    for site in (east, west):
        remove_service(site.cluster, "shop", "both")
    everything_works(east, west)


def test_a_broken_file_in_the_store_is_survived(east, west):
    """The last good state stays, and the log names the file."""
    path = west.store.path("ClusterPeer", "east")
    good = path.read_text()
    path.write_text("spec: [not: a peer\n")
    try:
        stays_true(lambda: ping(west.pod.machine, east.pod.ip), 2, "traffic flows")
        wait_until(lambda: any(str(path.name) in daemon.process.output()
                               for daemon in west.causeway.gateways), 10, "the file is reported")
    finally:
        path.write_text(good)
    everything_works(east, west)


def test_a_cluster_starts_from_its_last_known_state(own_world):
    """West starts again while east is away: routes and names are present at once."""
    east = Site(own_world, "east", gateways=1, ipv6=False)
    west = Site(own_world, "west", gateways=1, ipv6=False)
    join(east, west)
    make_service(east.cluster, "shop", "web", {"echo": TCP_PORT}, {"web-0": east.pod})
    export(east.cluster, "shop", "web")
    wait_until(lambda: resolves(east, west), 15, "the exported name resolves")
    east.cluster.edge.sh("nft 'table inet cut { chain everything { "
                         "type filter hook forward priority -300; policy drop; }; }'")
    for daemon in west.causeway.all:
        daemon.kill()
    for daemon in west.causeway.all:
        daemon.start()
    wait_until(lambda: resolves(east, west), 15, "a degraded answer beats none")
    east.cluster.edge.sh("nft delete table inet cut")
    wait_until_reached(east, west)
