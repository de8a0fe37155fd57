"""Two clusters, one of them on another pod network than the bridge: install, pair, talk, fail, uninstall, in this
order. Later scenarios continue with the state of earlier ones."""

import json
import time

import pytest

from fabric.wait import stays_true, wait_until
from kube.causeway import carrier, chart_test, wait_until_reached
from kube.cni.calico import Calico, blocks_of
from kube.pods import TOOLS, longest_silence, pods_of
from kube.postgres import sql, stream
from kube.traces import assert_uninstalls

SHAPES = ["calico", "calico-dual-stack", "calico-beside-podcidrs", "kube-router-dual-stack", "flannel",
          "calico-and-kube-router", "kube-proxy-iptables", "dual-stack"]
NAME = "tools.demo.svc.clusterset.local"


def are_closed_to(sources, targets):
    """No source reaches a target. The targets reach each other, so that a silent machine is not taken for a policy."""
    return (all(target.sees_us_as(other) for target in targets for other in targets)
            and not any(source.sees_us_as(target) for source in sources for target in targets))


def test_the_chart_is_installed_and_its_own_test_passes(joined):
    for cluster in joined:
        chart_test(cluster)


def test_every_gateway_says_where_its_prefixes_stand(joined):
    for cluster in joined:
        for gateway in cluster.get("tunnelgateways")["items"]:
            assert gateway["status"]["prefixSource"] == cluster.network.source


def test_pods_keep_their_addresses_both_ways_and_in_their_own_cluster(joined):
    for here in joined:
        for there in joined:
            wait_until_reached(here.pods, there.pods)


def test_hosts_reach_pods_of_the_other_cluster(joined):
    for here, there in (joined, joined[::-1]):
        for node in here.nodes:
            url = f"http://{there.pods[0].ip}:8080/cgi-bin/who"
            wait_until(lambda n=node, u=url: n.run("curl", "-s", "-m", "2", u, check=False).stdout, 10,
                       f"{node.name} reaches a pod", every=0.3)


def test_an_export_is_served_by_its_name(joined, ctl):
    """vip: clusterip. kube-proxy of the other cluster sends connections to the exporting cluster's pods."""
    east, west = joined
    ctl("--store", "east", "export", "demo/tools")
    pod, seen = west.pods[0], set()

    def all_answered():
        # The name first has the pods' addresses, until the derived Service is there.
        for address in pod.lookup(NAME):
            seen.add(pod.run("curl", "-s", "-m", "2", f"http://{address}/cgi-bin/where", check=False).stdout.strip())
        return {p.name for p in east.pods} <= seen
    wait_until(all_answered, 60, "both pods of east serve the virtual IP", every=0.2)


def test_postgresql_streams_by_the_exported_pod_name(joined, ctl):
    stream(*joined, ctl)


def more_pods(cluster, node, count):
    """Further pods of the tools on one node, outside of the Service."""
    text = TOOLS[TOOLS.index("apiVersion: apps/v1"):TOOLS.rindex("---")]
    text = text.replace("kind: DaemonSet", "kind: Deployment").replace("app: tools", "app: more").replace(
        "name: tools, namespace", "name: more, namespace").replace(
        "spec:\n  selector", f"spec:\n  replicas: {count}\n  selector").replace(
        "      terminationGracePeriodSeconds", f"      nodeName: {node.name}\n      terminationGracePeriodSeconds")
    cluster.apply(text)
    return pods_of(cluster, "app=more", count=count)


def test_a_node_that_takes_further_blocks_is_served_whole(joined, tell):
    """Calico with blocks of eight addresses: a pod of a new block is reached, both ways, soon after it runs."""
    east, west = joined
    if not isinstance(east.network, Calico) or east.network.block_size < 29:
        pytest.skip("this node's addresses never run out")
    node, before = east.nodes[0], blocks_of(east)
    more = more_pods(east, node, 7)
    began = time.monotonic()
    after = blocks_of(east)
    assert len(after[node.name]) >= len(before[node.name]) + 1, "the node took no further block"
    wait_until_reached(more, west.pods, 20)
    wait_until_reached(west.pods, more, 20)
    tell(f"{node.name} went from {len(before[node.name])} to {len(after[node.name])} blocks; its pods and west's "
         f"reached each other {time.monotonic() - began:.1f} s after they ran")
    status = json.loads(east.plane.kubectl("get", "routeagents", "-o", "json").stdout)
    for agent in status["items"]:
        assert all(c["status"] == "True" for c in agent["status"]["conditions"] if c["type"] == "Ready"), agent
    east.kubectl("-n", "demo", "delete", "deploy", "more", "--timeout=60s")


POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: limited, namespace: demo}}
spec:
  podSelector: {{matchLabels: {{app: tools}}}}
  policyTypes: [Ingress]
  ingress: [{{from: {sources}}}]
"""


def test_network_policies_of_the_pod_network_are_in_force(joined):
    """A policy that admits the own cluster's pods keeps the other cluster's out. An ipBlock of their range lets them
    in, under their own addresses."""
    limited = [cluster for cluster in joined if cluster.network.has_policies]
    if not limited:
        pytest.skip("these pod networks ignore NetworkPolicies")
    for here in limited:
        there = joined[1] if here is joined[0] else joined[0]
        try:
            here.apply(POLICY.format(sources="[{podSelector: {}}]"))
            wait_until(lambda h=here, t=there: are_closed_to(t.pods, h.pods), 60,
                       f"{here.name}'s pods are closed to {there.name}, and not to each other", every=0.5)
            wait_until_reached(here.pods, there.pods)  # answers are not ingress
            blocks = ", ".join(f'{{ipBlock: {{cidr: "{cidr}"}}}}' for cidr in there.plane.pod_cidrs)
            here.apply(POLICY.format(sources=f"[{{podSelector: {{}}}}, {blocks}]"))
            wait_until_reached(there.pods, here.pods)
        finally:
            here.kubectl("-n", "demo", "delete", "networkpolicy", "limited", check=False)
        wait_until_reached(there.pods, here.pods)


@pytest.mark.timing
def test_a_killed_gateway_costs_little(joined, tell):
    for here, there in (joined, joined[::-1]):
        ping = here.pods[0].ping_for(there.pods[1], 12)
        stays_true(ping.alive, 2, "the ping runs", every=0.3)
        node, pid = carrier(here, there)
        node.run("kill", "-9", str(pid))
        wait_until(lambda p=ping: not p.alive(), 40, "the ping ends", every=0.3)
        silence = longest_silence(ping.output())
        tell(f"{here.name}'s gateway killed: the longest silence was {silence * 1000:.0f} ms")
        assert silence < 3
        wait_until_reached(here.pods, there.pods)
    assert sql(joined[0], "pg-0", "SELECT state FROM pg_stat_replication") == "streaming"


def test_uninstalling_leaves_the_pod_network_as_it_was(joined):
    east, west = joined
    assert_uninstalls(east, "west")
    wait_until_reached(east.pods, east.pods)
    wait_until(lambda: are_closed_to(east.pods, west.pods), 30, "pods no longer talk", every=0.5)
