"""The faults that `./dev bench failover` puts into a pair of clusters, and how each is undone."""

import datetime
import os
import pathlib
import shutil
import time

from fabric.daemons import GATEWAY, Daemon
from fabric.site import Site
from fabric.slow_disk import SlowDisk
from fabric.wait import wait_until

WIREGUARD = 4500
HOP = "{ 4794, 4799 }"  # WireGuard or VXLAN between node and gateway


class Fault:
    """`put` does something to the gateway that carries the traffic of `site`, and `heal` undoes it. `settle`:
    seconds of measurement after it. `lasts`: seconds of these in which no packet can flow; they do not count,
    and `heal` comes before the end of the measurement. `prepare` and `restore`: before and after everything.
    `clusters`: how many clusters it needs; with three, the traffic is between the two others. `burden(site,
    True)` begins something that must move no carrier and lose no packet. It lasts --minutes before the fault
    and ends with `burden(site, False)` after it."""

    def __init__(self, name, put, heal, settle=1.5, lasts=0, prepare=None, restore=None,
                 clusters=2, burden=None):
        self.name, self.put, self.heal, self.settle, self.lasts = name, put, heal, settle, lasts
        self.prepare, self.restore, self.clusters = prepare, restore, clusters
        self.burden = burden


def gateway_node(site, ordinal):
    return site.cluster.gateway_nodes[ordinal].machine


def block(machine, rules):
    """Drops matching packets, before and after all other rules of the machine."""
    chains = "".join(
        f"chain {hook} {{ type filter hook {hook} priority -500; {rule}; }}\n"
        for hook, rule in rules)
    machine.sh(f"nft -f - <<'EOF'\ntable inet fault {{\n{chains}}}\nEOF")


def unblock(machine):
    machine.sh("nft delete table inet fault")


def on_gateway(rules):
    return (lambda site, n: block(gateway_node(site, n), rules),
            lambda site, n: unblock(gateway_node(site, n)))


def worker_path(site, n):
    address = site.cluster.gateway_nodes[n].ip
    block(site.pod.node.machine,
          [("input", f"udp dport {HOP} ip saddr {address} drop"),
           ("output", f"udp dport {HOP} ip daddr {address} drop")])


def restart_both(site, _):
    for gateway in site.causeway.gateways:
        gateway.kill()
    for gateway in site.causeway.gateways:
        gateway.start()


def nothing(*_):
    pass


def no_forwarding(site, n):
    """Turns forwarding off every 10 ms, because the route agent turns it on again."""
    said = gateway_node(site, n).sh(
        "(while :; do echo 0 > /proc/sys/net/ipv4/ip_forward; sleep 0.01; done) >/dev/null 2>&1 & "
        "echo $!")
    site.obstinate = said.strip()


def forwarding(site, n):
    gateway_node(site, n).sh(f"kill {site.obstinate}; sysctl -qw net.ipv4.ip_forward=1")


def stores(site):
    return [cluster.store.folder for cluster in site.world.clusters.values()]


def crash_without_stores(site, n):
    for folder in stores(site):
        folder.rename(folder.with_name("store-away"))
    time.sleep(1)
    site.fault_began = time.monotonic_ns()
    site.crash_gateway(n)


def stores_back(site, n):
    for folder in stores(site):
        shutil.rmtree(folder, ignore_errors=True)  # a daemon may have made files meanwhile
        folder.with_name("store-away").rename(folder)
    site.recover_gateway(n)


def partition(site, _):
    site.cluster.edge.sh("nft 'table inet fault { chain cut { type filter hook forward "
                         f"priority -500; udp dport {WIREGUARD} drop; }}; }}'")


def clocks(site):
    return site.cluster.folder / "clock"


def with_clock(site, env):
    for daemon in site.causeway.gateways + site.causeway.agents:
        daemon.stop()
        daemon.env = env
        daemon.start()


def prepare_clock(site, hours=0):
    """Gives the daemons a clock that a file moves. The monotonic clock stays right."""
    clocks(site).write_text(f"{hours:+}h\n")
    library = next(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    with_clock(site, {"LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(clocks(site)),
                      "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_NO_CACHE": "1"})


def jump(hours):
    """Moves the clock of one cluster's daemons. The leases that they write then show the jump."""
    def put(site, _):
        clocks(site).write_text(f"{hours:+}h\n")
        wait_until(lambda: hours_off(site, hours), 10, f"leases are {hours:+} h off")
    return put


def hours_off(site, hours):
    """The import Lease, if a daemon has renewed it with a clock that is `hours` off."""
    for lease in site.store.list("Lease"):
        renewed = datetime.datetime.fromisoformat(lease["spec"]["renewTime"].replace("Z", "+00:00"))
        off = renewed.timestamp() - time.time() - hours * 3600
        if lease["metadata"]["name"] == "causeway-import" and abs(off) < 60:
            return lease
    return None


def gateway_added(site, _):
    """Adds a third gateway on the worker, paired as an administrator does it, and removes it for good."""
    node, causeway = site.cluster.workers[0], site.causeway
    config = dict(causeway.gateways[0].config, ordinal=2, node=node.name)
    added = Daemon(site.world, node.machine, GATEWAY, config, site.cluster.folder)
    causeway.gateways.append(added)
    site.cluster.gateway_nodes.append(node)
    others = [c for c in site.world.clusters.values() if c is not site.cluster]
    try:
        added.start()
        for other in others:
            other.store.put(causeway.as_peer())
        wait_until(lambda: sum(n == 2 and t["state"] == "up" for n, t in causeway.tunnels())
                   == 2 * len(others), 20, "its tunnels are up")
        time.sleep(4)
        added.stop()
    finally:
        causeway.gateways.remove(added)
        site.cluster.gateway_nodes.remove(node)
    site.store.remove("TunnelGateway", "gateway-2")
    for other in others:
        other.store.put(causeway.as_peer())
    added.cleanup()


def with_env(sites, env):
    for site in sites:
        for daemon in site.causeway.gateways + site.causeway.agents:
            daemon.stop()
            daemon.env = env
            daemon.start()


def all_sites(site):
    return site.world.sites


def on_slow_disks(site):
    with_env(all_sites(site), SlowDisk(site.world).env)


def stalling_disk(site, begins):
    """Every fsync of every daemon takes 2 s, again and again."""
    SlowDisk(site.world).stall(2000 if begins else 0)


def busy_cores(site, begins):
    """Two endless loops per core of this host, which all machines share."""
    if begins:
        site.world.busy = [site.world.wan.spawn(f"busy-{n}", "setpriv", "--pdeathsig", "KILL", "sh",
                                                "-c", "while :; do :; done")
                           for n in range(2 * os.cpu_count())]
    else:
        for loop in site.world.busy:
            loop.kill()


WAN = [("input", f"udp dport {WIREGUARD} drop"), ("output", f"udp dport {WIREGUARD} drop")]
LOSSY = [("input", f"udp dport {WIREGUARD} numgen random mod 100 < 30 drop"),
         ("output", f"udp dport {WIREGUARD} numgen random mod 100 < 30 drop")]
TUNNEL = [("prerouting", 'iifname "cw-wg" drop'), ("postrouting", 'oifname "cw-wg" drop')]
FOREIGN = [("forward", 'iifname { "cw-vx", "cw-wg" } drop')]
FAULTS = [
    Fault("gateway process killed", lambda s, n: s.causeway.gateways[n].kill(),
          lambda s, n: s.causeway.gateways[n].start()),
    Fault("gateway node gone", Site.crash_gateway, Site.recover_gateway),
    Fault("gateway frozen", lambda s, n: s.causeway.gateways[n].process.pause(),
          lambda s, n: s.causeway.gateways[n].process.resume()),
    Fault("WAN link of the gateway cut", *on_gateway(WAN)),
    Fault("WAN cut, inward only", *on_gateway(WAN[:1])),
    Fault("WAN cut, outward only", *on_gateway(WAN[1:])),
    Fault("node's path to the gateway cut", worker_path,
          lambda s, n: unblock(s.pod.node.machine)),
    Fault("tunnel device dead, the rest alive", *on_gateway(TUNNEL)),
    Fault("gateway does not forward (sysctl)", no_forwarding, forwarding),
    Fault("gateway does not forward (foreign drop)", *on_gateway(FOREIGN)),
    Fault("stores gone, then gateway node gone", crash_without_stores, stores_back),
    Fault("30 % loss on the gateway's WAN link", *on_gateway(LOSSY), settle=10),
    Fault("both gateways restarted at once", restart_both, nothing, settle=4),
    Fault("clock 5 h ahead", jump(5), nothing, settle=8, prepare=prepare_clock,
          restore=lambda site: with_clock(site, None)),
    Fault("clock 5 h back", jump(-5), nothing, settle=8, prepare=prepare_clock,
          restore=lambda site: with_clock(site, None)),
    # Sessions begin with the clock ahead, and all of them end within these 200 s.
    Fault("clock 5 h back, rekeying", jump(-5), nothing, settle=200,
          prepare=lambda site: prepare_clock(site, 5), restore=lambda site: with_clock(site, None)),
    Fault("gateway added and removed", gateway_added, nothing, settle=2),
    Fault("partition of 60 s: after it", partition, lambda s, n: unblock(s.cluster.edge),
          settle=62, lasts=60),
    Fault("one cluster of three lost: the others", lambda s, n: s.lose(),
          lambda s, n: s.recover(), settle=4, clusters=3),
    Fault("disk stalls for 2 s, again and again; crash beside it",
          lambda s, n: s.causeway.gateways[n].kill(), lambda s, n: s.causeway.gateways[n].start(),
          prepare=on_slow_disks, restore=lambda site: with_env(all_sites(site), None),
          burden=stalling_disk),
    Fault("all cores busy; crash beside it", lambda s, n: s.causeway.gateways[n].kill(),
          lambda s, n: s.causeway.gateways[n].start(), burden=busy_cores),
    Fault("planned stop", lambda s, n: s.causeway.gateways[n].stop(),
          lambda s, n: s.causeway.gateways[n].start()),
]
