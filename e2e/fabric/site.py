"""A cluster with Causeway on it and a pod on every node: the start of most scenarios."""

import os
import signal

from fabric.cluster import Cluster
from fabric.daemons import Causeway, pair
from fabric.traffic import ping, serve_tcp
from fabric.wait import wait_until, wait_until_steady

# Scenarios cannot wait minutes until a recovered gateway is preferred again.
QUICK = {"holdDown": "2s"}


class Site:
    """`shape` is what Cluster takes: gateways, workers, nat, ipv6, iptables, underlay. `network` is the class of a
    cluster with another pod network."""

    def __init__(self, world, cluster_id, gateway_options=None, agent_options=None, network=Cluster, **shape):
        self.world, self.id = world, cluster_id
        self.cluster = network(world, cluster_id, **shape)
        self.causeway = Causeway(self.cluster, gateway_options or {}, {**QUICK, **(agent_options or {})})
        self.gateway_pods = [node.pod(f"app-{node.name.removeprefix(cluster_id + '-')}")
                             for node in self.cluster.gateway_nodes]
        self.worker_pods = [node.pod(f"app-{node.name.removeprefix(cluster_id + '-')}")
                            for node in self.cluster.workers]
        for pod in self.pods:
            serve_tcp(pod.machine)

    @property
    def pods(self):
        """One pod per node, those on gateway nodes first."""
        return self.gateway_pods + self.worker_pods

    @property
    def pod(self):
        """The pod for scenarios in which any pod will do: on a worker if there is one."""
        return self.pods[-1]

    @property
    def store(self):
        return self.cluster.store

    def start(self):
        self.causeway.start()
        return self

    def carrier_to(self, other, family=4, node=None):
        """The ordinal of our gateway to which the kernel of `node` (the worker) gives traffic to
        the other site's pod, or None."""
        node = node or self.pod.node
        route = node.machine.run("ip", "route", "get", other.pod.address(family),
                                 check=False).stdout
        for ordinal, gateway in enumerate(self.cluster.gateway_nodes):
            if gateway is node and "dev cw-wg" in route:
                return ordinal
            if gateway is not node and link_local(gateway) in route.split():
                return ordinal
        return None

    def all_carriers_known(self, other):
        return all(self.carrier_to(other, family, node) is not None
                   for node in self.cluster.nodes for family in self.families)

    @property
    def families(self):
        return (4, 6) if self.cluster.ipv6 else (4,)

    def crash_gateway(self, ordinal):
        """The gateway's node is gone: its processes die and its underlay forwards no packet."""
        node = self.cluster.gateway_nodes[ordinal]
        node.cut()
        self.causeway.gateways[ordinal].kill()
        for pid in node.machine.pids("wireguard-go"):
            kill_quietly(pid)

    def lose(self):
        """The whole cluster is gone: no packet leaves any of its nodes, and its gateways die."""
        for node in self.cluster.nodes:
            node.cut()
        for gateway in self.causeway.gateways:
            gateway.kill()

    def recover(self):
        for node in self.cluster.nodes:
            node.mend()
        for gateway in self.causeway.gateways:
            gateway.start()

    def recover_gateway(self, ordinal):
        self.cluster.gateway_nodes[ordinal].mend()
        self.causeway.gateways[ordinal].start()


def link_local(node):
    """The link-local address of the node's VXLAN device; "none" while there is none."""
    shown = node.machine.run("ip", "-6", "-o", "address", "show", "dev", "cw-vx", "scope", "link",
                             check=False).stdout.split()
    return shown[3].split("/")[0] if len(shown) > 3 else "none"


def kill_quietly(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def join(*sites):
    """Starts the daemons that do not run yet, pairs all clusters with each other, and waits until all pods of
    different clusters reach each other."""
    for site in sites:
        for daemon in site.causeway.all:
            if not daemon.running():
                daemon.start()
    pair(*[site.causeway for site in sites])
    for one in sites:
        for other in sites:
            if one is not other:
                wait_until_reached(one, other)


def wait_until_reached(one, other, deadline=20):
    """Every pod of `one` gets an answer from every pod of `other`."""
    for pod in one.pods:
        for target in other.pods:
            wait_until(lambda pod=pod, target=target: ping(pod.machine, target.ip), deadline,
                       f"{one.id}'s pod on {pod.node.name} reaches the one on {target.node.name}")
            if one.cluster.ipv6 and other.cluster.ipv6:
                wait_until(lambda pod=pod, target=target: ping(pod.machine, target.ip6), deadline,
                           f"the same over IPv6 ({pod.node.name} to {target.node.name})")


def carriers(*sites):
    """The carrier of each node's traffic to each other site, by family."""
    return [site.carrier_to(other, family, node) for site in sites for other in sites
            if other is not site for node in site.cluster.nodes for family in site.families]


def agents(site):
    """The status of the route agent of each node."""
    return [(site.store.get("RouteAgent", node.name) or {}).get("status", {}) for node in site.cluster.nodes]


def held(site):
    """Whether a node passes over a gateway because of its hold-down. The end of that moves the node's traffic."""
    return any("hold-down" in choice["reason"] for agent in agents(site) for choice in agent.get("chosen", []))


def in_service(site):
    """Whether all tunnels are up, no gateway drains, every node sees every gateway so, and no gateway is in
    its hold-down. A gateway that falls again soon is held for longer each time."""
    nodes, gateways = site.cluster.nodes, site.store.list("TunnelGateway")
    seen = [gateway["state"] for agent in agents(site) for gateway in agent.get("gateways", [])]
    return (len(seen) == len(nodes) * len(gateways) and set(seen) <= {"up", "self"} and not held(site)
            and not any(gateway["status"].get("draining") for gateway in gateways)
            and all(tunnel["state"] == "up" for _, tunnel in site.causeway.tunnels()))


def wait_until_settled(*sites):
    """All gateways are in service, and no carrier has changed for some time."""
    wait_until_steady(lambda: all(map(in_service, sites)) and carriers(*sites), 3, 80,
                      "all gateways are in service and carriers stay")
