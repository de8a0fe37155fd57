"""Two clusters whose nodes, pods and Services have IPv6 addresses only: the chart's defaults serve them."""

import json

from fabric.wait import wait_until
from kube.causeway import assert_pods_see_each_other, chart_test

SHAPES = ["ipv6-only"]
NAME = "tools.demo.svc.clusterset.local"


def test_no_machine_has_an_ipv4_address(clusters):
    for cluster in clusters:
        for machine in [cluster.machine, *cluster.nodes]:
            shown = machine.run("ip", "-4", "-o", "address").stdout
            assert all(" lo " in line for line in shown.splitlines()), shown


def test_the_chart_is_installed_and_its_own_test_passes(joined):
    """The kubelet's probes reached every status endpoint: otherwise Helm would have failed."""
    for cluster in joined:
        chart_test(cluster)


def test_pods_reach_each_other_under_their_own_addresses(joined):
    assert_pods_see_each_other(*joined)


def test_an_export_answers_by_its_name_through_the_clusters_own_dns(joined, ctl):
    east, west = joined
    ctl("--store", "east", "export", "demo/tools")
    pod = west.pods[0]
    wait_until(lambda: pod.lookup(NAME, "AAAA"), 30, "the name resolves", every=0.1)
    assert pod.lookup(NAME, "A") == []
    address, = pod.lookup(NAME, "AAAA")
    seen = set()

    def all_answered():
        seen.add(pod.run("curl", "-s", "-m", "2", f"http://[{address}]/cgi-bin/where", check=False).stdout.strip())
        return {p.name for p in east.pods} <= seen
    wait_until(all_answered, 30, "both pods of east serve the virtual IP", every=0.2)


def test_status_is_green(joined, ctl):
    for cluster in joined:
        shown = json.loads(ctl("--store", cluster.name, "status", "-o", "json").stdout)
        assert all(c["connected"] for c in shown["clusters"])
