"""Attacks on the small doors: the status port, the store's lock and entries, DNS, forwarding.

The docstring of each scenario is the attack. Actors: a stranger on the WAN, a remote pod, a local user
without rights on a host.
"""

import pathlib
import resource
import struct
import time

import pytest

from fabric.dns import ask
from fabric.services import export, make_service
from fabric.site import Site, join
from fabric.traffic import PYTHON, TCP_PORT, WIRE, Stream, ping
from fabric.wait import stays_true, wait_until

NAME = "web.shop.svc.clusterset.local"
STATUS = 9701


@pytest.fixture(scope="module")
def open_sites(world, tell):
    """Two clusters whose gateways listen for scrapers on all addresses, with few descriptors."""
    tell("raising two clusters, east and west")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))  # systemd's default
    sites = [Site(world, name, {"status": f"[::]:{STATUS}"}) for name in ("east", "west")]
    join(*sites)
    east = sites[0]
    make_service(east.cluster, "shop", "web", {"echo": TCP_PORT}, {"web-0": east.pod})
    export(east.cluster, "shop", "web")
    wait_until(lambda: resolves(sites[0]) and resolves(sites[1]), 15, "the name resolves")
    return sites


def resolves(site):
    return ask(site.pod.machine, site.causeway.dns, NAME).data("A") != []


def streams_of(east, west):
    return [Stream(a.pod.machine, b.pod.machine, b.pod.ip, a.world.folder)
            for a, b in ((east, west), (west, east))]


def lost(streams):
    return [stream.stop().lost for stream in streams]


def assert_unharmed(streams):
    """A flood takes processor time from all processes on these hosts, so a queue may overflow once. A lost
    tunnel, or a loop that stands still, would cost hundreds of packets."""
    for report in [stream.stop() for stream in streams]:
        assert report.lost <= report.received / 500 and report.outage_ms < 250, str(report)


def gateway_addresses(east, family):
    return [node.ip if family == 4 else node.ip6 for node in east.cluster.gateway_nodes]


def descriptors(daemon):
    return len(list(pathlib.Path(f"/proc/{daemon.process.pid}/fd").iterdir()))


@pytest.mark.timing
@pytest.mark.parametrize("count, family", [(1100, 4), (1100, 6), (12000, 4)])
def test_idle_connections_to_the_status_port(open_sites, count, family):
    """A stranger opens connections to the port for scrapers and sends nothing on them."""
    east, west = open_sites
    streams = streams_of(east, west)
    attackers = [east.world.wan.spawn(f"idle-{count}-{n}-{family}", "setpriv", "--pdeathsig", "KILL",
                                      PYTHON, WIRE / "idle.py", address, STATUS, count, 10)
                 for n, address in enumerate(gateway_addresses(east, family))]
    for attacker in attackers:
        wait_until(lambda a=attacker: "holding" in a.output(), 30, "the connections are tried")
    for gateway in east.causeway.gateways:
        assert descriptors(gateway) < 300
        wait_until(lambda g=gateway: g.why_not_ready() == "", 10, "the node's own probe is answered")
    for attacker in attackers:
        attacker.wait(40)
    assert_unharmed(streams)
    for gateway in east.causeway.gateways:
        assert "Too many open files" not in gateway.process.output()


@pytest.mark.timing
@pytest.mark.parametrize("connections", [250, 6000])
def test_idle_connections_from_many_addresses(open_sites, connections):
    """The same from 250 addresses, none of which is the busiest client. The node's own probe, as the kubelet
    sends it, is always answered. Another host's request is answered while the queue of connections that wait
    to be accepted has room (4,096)."""
    east, west = open_sites
    streams = streams_of(east, west)
    wan, node = east.world.wan, east.cluster.gateway_nodes[0]
    wan.ip("route replace local 198.18.7.0/24 dev lo")
    attacker = wan.spawn("idle-many", "setpriv", "--pdeathsig", "KILL", PYTHON, WIRE / "idle.py",
                         node.ip, STATUS, connections, 8, "198.18.7.")
    wait_until(lambda: "holding" in attacker.output(), 30, "the connections are tried")
    end = time.monotonic() + 5
    while time.monotonic() < end:
        clients = [(node.machine, node.ip), (node.machine, "127.0.0.1")]
        if connections < 4096:
            clients.append((west.cluster.edge, node.ip))
        for client, address in clients:
            assert client.run("curl", "-s", "-o", "/dev/null", "--max-time", "3", "--fail",
                              f"http://{address}:{STATUS}/healthz", check=False).returncode == 0
    attacker.wait(20)
    assert_unharmed(streams)
    metrics = node.machine.out("curl", "-s", f"http://127.0.0.1:{STATUS}/metrics")
    closed = next(float(line.split()[1]) for line in metrics.splitlines()
                  if line.startswith("causeway_status_connections_closed_total"))
    assert closed > 250, "the attack did not fill the endpoint"


@pytest.mark.timing
@pytest.mark.parametrize("family", [4, 6])
def test_a_flood_of_requests(open_sites, family):
    """A stranger asks for metrics as fast as it can."""
    east, west = open_sites
    streams = streams_of(east, west)
    attackers = [east.world.wan.spawn(f"flood-{n}-{family}", "setpriv", "--pdeathsig", "KILL", PYTHON,
                                      WIRE / "get_flood.py", address, STATUS, "/metrics", 50, 4)
                 for n, address in enumerate(gateway_addresses(east, family))]
    for attacker in attackers:
        attacker.wait(30)
    assert_unharmed(streams)


def test_the_descriptor_limit_is_raised(open_sites):
    for daemon in open_sites[0].causeway.all:
        limits = pathlib.Path(f"/proc/{daemon.process.pid}/limits").read_text()
        soft, hard = next(line.split()[3:5] for line in limits.splitlines()
                          if line.startswith("Max open files"))
        assert soft == hard, daemon.name


@pytest.mark.timing
def test_a_local_user_holds_the_stores_lock(open_sites):
    """The user `nobody` locks every file of the store that it can, as flock(1) does, and keeps the locks."""
    east, west = open_sites
    streams = streams_of(east, west)
    machine = east.cluster.gateway_nodes[0].machine
    lock = east.store.folder / ".lock"
    attacker = machine.spawn("hold-lock", "setpriv", "--reuid", "65534", "--regid", "65534",
                             "--clear-groups", "flock", "-x", lock, "sleep", "8")
    end = time.monotonic() + 6
    while time.monotonic() < end:
        for daemon in east.causeway.gateways + east.causeway.agents:
            assert daemon.why_not_ready() == "", daemon.name
    assert not attacker.alive(), "it holds the lock"
    assert lost(streams) == [0, 0]
    assert lock.stat().st_mode & 0o777 == 0o600


@pytest.mark.timing
def test_an_administrator_who_holds_the_lock_is_named(open_sites):
    """A program of the same user hangs with the lock: readiness names it, and traffic flows."""
    east, west = open_sites
    streams = streams_of(east, west)
    lock = east.store.folder / ".lock"
    # struct flock: F_WRLCK, SEEK_SET, 0, 0, 0; command 37 is F_OFD_SETLK.
    held = struct.pack("hhqqi4x", 1, 0, 0, 0, 0)
    machine = east.cluster.gateway_nodes[0].machine
    holder = machine.spawn("holder", PYTHON, "-c",
                           "import fcntl, sys, time\n"
                           "f = open(sys.argv[1], 'r+')\n"
                           f"fcntl.fcntl(f, 37, {held!r})\n"
                           "print('held', flush=True)\ntime.sleep(60)", lock)
    wait_until(lambda: "held" in holder.output(), 10, "it holds the lock")
    gateway = east.causeway.gateways[0]
    try:
        wait_until(lambda: "locked by pid" in (gateway.why_not_ready() or ""), 40, "it is named")
        assert ping(east.pod.machine, west.pod.ip)
    finally:
        holder.kill()
    wait_until(lambda: gateway.why_not_ready() == "", 20, "it can write again")
    assert lost(streams) == [0, 0]


def test_bad_entries_in_the_store_cost_themselves(open_sites):
    """A user who may write into one namespace's folder puts unreadable entries there."""
    east, west = open_sites
    folder = east.store.folder / "serviceexports" / "shop"
    (folder / "loop.yaml").symlink_to("loop.yaml")
    (folder / "folder.yaml").mkdir()
    (folder / "deep.yaml").write_text("[" * 500_000)
    east.cluster.nodes[0].machine.run("mkfifo", folder / "fifo.yaml")
    try:
        make_service(east.cluster, "shop", "beside", {"echo": TCP_PORT}, {"beside-0": east.pod})
        export(east.cluster, "shop", "beside")
        name = "beside.shop.svc.clusterset.local"
        wait_until(lambda: ask(west.pod.machine, west.causeway.dns, name).data("A") != [], 15,
                   "an export beside them is announced")
        for daemon in east.causeway.all:
            assert daemon.why_not_ready() == "", daemon.name
            assert "store is unavailable" not in daemon.process.output()
        gateway = east.causeway.gateways[0]
        wait_until(lambda: "causeway_store_unreadable_entries 4" in gateway.machine.out(
            "curl", "-s", f"http://127.0.0.1:{STATUS}/metrics"), 10, "a metric counts them")
    finally:
        for entry in ("loop.yaml", "deep.yaml", "fifo.yaml"):
            (folder / entry).unlink()
        (folder / "folder.yaml").rmdir()


def test_strangers_ask_the_dns_server(open_sites):
    """A remote pod asks this cluster's DNS server over both transports: the server is no amplifier."""
    east, west = open_sites
    assert resolves(east)
    node = east.cluster.gateway_nodes[0]
    assert ask(node.machine, east.causeway.dns, NAME).data("A") != [], "a node is ours"
    for pod in west.pods:
        answer = ask(pod.machine, east.causeway.dns, NAME, "ANY")
        assert answer.records == [] and answer.status in ("REFUSED", "TIMEOUT")
        assert ask(pod.machine, east.causeway.dns, NAME, tcp=True).records == []


def test_a_bare_host_is_no_router(own_world, tell):
    """The hosts did not forward before Causeway came. A stranger on their network uses one as its router.
    Only Causeway's packets pass."""
    east, west = Site(own_world, "east"), Site(own_world, "west")
    for node in east.cluster.nodes:
        node.machine.sysctl(net__ipv4__ip_forward=0, net__ipv6__conf__all__forwarding=0)
    join(east, west)
    node = east.cluster.gateway_nodes[0]
    assert node.machine.out("cat", "/proc/sys/net/ipv4/ip_forward").strip() == "1"
    stranger = east.cluster.edge
    pod, elsewhere = node.pods[0], east.cluster.workers[0]
    stranger.ip(f"route replace {pod.ip} via {node.ip}\n"
                f"route replace {pod.ip6} via {node.ip6}")
    for target in (pod.ip, pod.ip6):
        assert not ping(stranger, target), f"{target} is reached through the host"
    # The other direction: a pod uses the host as its router to other networks.
    assert not ping(pod.machine, "192.0.2.2")
    stays_true(lambda: ping(pod.machine, west.pod.ip) and ping(pod.machine, west.pod.ip6), 2,
               "pods reach the other cluster")
    for agent in east.causeway.agents:
        agent.restart()
    wait_until(lambda: all(a.why_not_ready() == "" for a in east.causeway.agents), 30, "ready again")
    assert not ping(stranger, pod.ip), "after a restart the host forwards foreign packets"
    agent = east.causeway.agent_of(node)
    agent.stop()
    node.machine.run("nft", "flush", "ruleset")
    agent.start()
    wait_until(lambda: agent.why_not_ready() == "", 30, "ready again")
    for target in (pod.ip, pod.ip6):
        assert not ping(stranger, target), "a flush without the agent opened the host"
    # A cluster whose hosts forwarded before keeps forwarding.
    other = west.cluster.gateway_nodes[0]
    west.cluster.edge.ip(f"route replace {other.pods[0].ip} via {other.ip}")
    assert ping(west.cluster.edge, other.pods[0].ip)
    agent = east.causeway.agent_of(elsewhere)
    agent.stop()
    agent.cleanup()
    assert elsewhere.machine.out("cat", "/proc/sys/net/ipv4/ip_forward").strip() == "0"
