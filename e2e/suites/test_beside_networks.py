"""Causeway beside the kernel state of other pod networks (fabric/beside.py), and their settings that it names.

Pods keep their addresses, in both directions, on gateway nodes and workers. What another program's state breaks is
said in the condition PodNetworkFits, with what to set.
"""

import contextlib

import pytest

from fabric import objects
from fabric.beside import NETWORKS, beside
from fabric.site import Site, join, wait_until_reached
from fabric.traffic import ping, transfer
from fabric.wait import wait_until

KIB = 1024


@pytest.fixture(scope="module")
def pair_of_sites(world, tell):
    tell("raising east (beside other networks) and west")
    # As the chart configures it: the pod network forwards, too.
    sites = [Site(world, name, agent_options={"forwarding": "all"}) for name in ("east", "west")]
    join(*sites)
    return sites


def fits(site, kind, name):
    return site.store.conditions(kind, name).get("PodNetworkFits", {})


def of_all(site):
    """The condition of each node and gateway."""
    names = [("RouteAgent", node.name) for node in site.cluster.nodes]
    names += [("TunnelGateway", gateway["metadata"]["name"]) for gateway in site.store.list("TunnelGateway")]
    return [fits(site, kind, name) for kind, name in names]


def all_tunnels_up(site):
    return all(tunnel["state"] == "up" for _, tunnel in site.causeway.tunnels())


@pytest.mark.parametrize("network", NETWORKS)
def test_pods_keep_their_addresses_beside(pair_of_sites, network):
    east, west = pair_of_sites
    with beside(east.cluster, network):
        wait_until_reached(east, west)
        for pod in east.pods:
            for client, server in ((pod, west.pod), (west.pod, pod)):
                done = transfer(client.machine, server.ip, 64 * KIB)
                assert done.source == client.ip, f"{client.name} arrives as {done.source}"
        wait_until(lambda: all_tunnels_up(east) and all_tunnels_up(west), 20, "probes pass the tunnels")
        for daemon in east.causeway.agents + east.causeway.gateways:
            wait_until(lambda daemon=daemon: daemon.why_not_ready() == "", 20, f"{daemon.name} is ready")
    wait_until_reached(east, west)


def test_our_devices_keep_their_reverse_path_check(pair_of_sites):
    """A program that writes the sysctl of every device makes ours strict. They are loose again soon."""
    east, _ = pair_of_sites
    node = east.cluster.gateway_nodes[0]
    with beside(east.cluster, "a strict reverse path check"):
        for device in ("cw-vx", "cw-wg"):
            wait_until(lambda device=device: node.machine.out(
                "cat", f"/proc/sys/net/ipv4/conf/{device}/rp_filter").strip() == "2", 5, f"{device} is loose")


@contextlib.contextmanager
def drops_by_policy(site, accept=""):
    """Docker and hardened hosts: the policy of FORWARD drops, and pods of the bridge are accepted."""
    for node in site.cluster.nodes:
        node.machine.run("nft", "-f", "-", stdin="""table ip hardened {
            chain FORWARD { type filter hook forward priority filter; policy drop;
              iifname "cni0" accept; oifname "cni0" accept; %s; }
        }""" % accept)
    try:
        yield
    finally:
        for node in site.cluster.nodes:
            node.machine.sh("nft delete table ip hardened")


def test_a_forward_policy_that_drops_is_named_and_its_remedy_works(pair_of_sites):
    east, west = pair_of_sites
    worker = east.pod
    with drops_by_policy(east):
        wait_until(lambda: fits(east, "RouteAgent", worker.node.name).get("status") == "Unknown", 25, "it is said")
        said = fits(east, "RouteAgent", worker.node.name)
        assert said["reason"] == "FilterMayDrop" and "chain FORWARD of nft table ip hardened" in said["message"], said
        assert not ping(worker.machine, west.pod.ip), "gateways drop what is in transit"
    with drops_by_policy(east, 'iifname "cw-*" accept; oifname "cw-*" accept;'):
        wait_until_reached(east, west)
        wait_until(lambda: fits(east, "RouteAgent", worker.node.name).get("status") == "True", 25, "it is withdrawn")


def test_a_translation_before_our_exemption_is_named(pair_of_sites):
    east, west = pair_of_sites
    node = east.pod.node
    node.machine.run("nft", "-f", "-", stdin="""table ip early {
        chain out { type nat hook postrouting priority 0; ip saddr 203.0.113.0/24 masquerade; }
        }""")
    try:
        wait_until(lambda: "table ip early translates sources at priority 0" in
                   fits(east, "RouteAgent", node.name).get("message", ""), 25, "it is said")
        assert ping(east.pod.machine, west.pod.ip), "its rules do not concern pods"
    finally:
        node.machine.sh("nft delete table ip early")


def test_cilium_that_would_translate_on_our_devices_is_named(pair_of_sites):
    """The ConfigMap as Cilium's chart writes it with bpf.masquerade. Nothing of Cilium runs."""
    east, _ = pair_of_sites
    settings = {"enable-bpf-masquerade": "true", "enable-ipv4-masquerade": "true", "routing-mode": "tunnel",
                "kube-proxy-replacement": "false", "enable-ipv6-masquerade": "false"}
    east.store.put(objects.config_map("kube-system", "cilium-config", settings))
    try:
        wait_until(lambda: all(said.get("status") == "False" for said in of_all(east)), 20, "nodes and gateways say so")
        for said in of_all(east):
            assert said["reason"] == "SettingInTheWay" and "`devices`" in said["message"], said
        settings["devices"] = "eth0"
        east.store.put(objects.config_map("kube-system", "cilium-config", settings))
        wait_until(lambda: all(said.get("status") == "True" for said in of_all(east)), 20, "with `devices` it fits")
    finally:
        east.store.remove("ConfigMap", "cilium-config", "kube-system")


def test_ovn_in_shared_gateway_mode_is_named(pair_of_sites):
    east, _ = pair_of_sites
    node = east.cluster.workers[0]
    body = east.store.get("Node", node.name)
    marked = {**body, "metadata": {**body["metadata"], "annotations": {
        "k8s.ovn.org/l3-gateway-config": '{"default":{"mode":"shared","bridge-id":"br-ex"}}'}}}
    east.store.put(marked)
    try:
        wait_until(lambda: "routingViaHost: true" in fits(east, "RouteAgent", node.name).get("message", ""), 20,
                   "the node says so")
        other = east.cluster.gateway_nodes[0].name
        assert fits(east, "RouteAgent", other).get("status") == "True", "other nodes do not"
    finally:
        east.store.put({**body, "metadata": {**body["metadata"], "annotations": {}}})
    wait_until(lambda: fits(east, "RouteAgent", node.name).get("status") == "True", 20, "it is withdrawn")
