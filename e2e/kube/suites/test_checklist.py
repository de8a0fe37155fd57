"""The requirements of the Multi-Cluster Services API and of its DNS, one scenario each, on two real clusters,
with both kinds of answers (`vip`). The numbers are those of docs/protocol/dns.md. Unit tests hold the rules
that need no cluster: conflicts of each field, ties, families that a cluster lacks, clusters that are dropped."""

import concurrent.futures
import json
import time

import pytest

from fabric.wait import stays_true, wait_until
from kube.causeway import NAMESPACE, install
from kube.pods import IMAGE

SLICE, SOURCE = "multicluster.kubernetes.io/service-name", "multicluster.kubernetes.io/source-cluster"
ZONE = "svc.clusterset.local"


@pytest.fixture(scope="module", params=["clusterip", "endpoints"])
def vip(request, joined):
    """The kind of answer of names. Every cluster takes part in every name, as in KEP-1645."""
    def rules(cluster):
        return cluster.get("clusterpeers")["items"][0]
    before = {cluster.name: rules(cluster) for cluster in joined}
    everything = [{"namespace": "*", "service": "*", "overLocal": True}]
    for cluster in joined:
        cluster.kubectl("patch", "clusterpeer", before[cluster.name]["metadata"]["name"], "--type=merge", "-p",
                        json.dumps({"spec": {"imports": everything}}))
    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(lambda c: install(c, "upgrade", **{"discovery.config.vip": request.param}), joined))
    yield request.param
    for cluster in joined:
        cluster.kubectl("-n", "demo", "delete", "svcex,svc,deploy", "-l", "checklist=yes", "--wait=false")
        peer = before[cluster.name]
        cluster.kubectl("patch", "clusterpeer", peer["metadata"]["name"], "--type=merge", "-p",
                        json.dumps({"spec": {"imports": peer["spec"].get("imports")}}))
    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(lambda c: install(c, "upgrade"), joined))


class Name:
    """One Service of the clusterset, seen from both clusters."""

    def __init__(self, vip, name, namespace="demo"):
        self.vip, self.name, self.namespace = vip, f"{name}-{vip}", namespace
        self.full = f"{self.name}.{namespace}.{ZONE}"

    def service(self, cluster, selector="tools", **spec):
        body = {"selector": {"app": selector}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}], **spec}
        cluster.apply(json.dumps({"apiVersion": "v1", "kind": "Service", "spec": body,
                                  "metadata": {"name": self.name, "namespace": self.namespace,
                                               "labels": {"checklist": "yes", "own": "1"}}}))

    def export(self, cluster, **spec):
        cluster.apply(json.dumps({"apiVersion": "multicluster.x-k8s.io/v1beta1", "kind": "ServiceExport", "spec": spec,
                                  "metadata": {"name": self.name, "namespace": self.namespace,
                                               "labels": {"checklist": "yes", "own": "2"}}}))

    def unexport(self, cluster):
        cluster.kubectl("-n", self.namespace, "delete", "svcex", self.name)

    def imported(self, cluster):
        found = cluster.get("-n", self.namespace, "serviceimports.multicluster.x-k8s.io")["items"]
        return next((i for i in found if i["metadata"]["name"] == self.name), None)

    def clusters(self, cluster):
        found = self.imported(cluster)
        return [c["cluster"] for c in found["status"]["clusters"]] if found else []

    def wait_for_clusters(self, cluster, wanted):
        wait_until(lambda: self.clusters(cluster) == wanted, 30,
                   f"{cluster.name} imports {self.name} of {wanted}", every=0.3)

    def condition(self, cluster, kind):
        status = cluster.get("-n", self.namespace, "serviceexports.multicluster.x-k8s.io", self.name).get("status", {})
        return next(((c["status"], c["reason"], c["message"]) for c in status.get("conditions", [])
                     if c["type"] == kind), None)

    def wait_for_condition(self, cluster, kind, status, reason):
        return wait_until(lambda: (self.condition(cluster, kind) or ())[:2] == (status, reason)
                          and self.condition(cluster, kind), 30,
                          f"{cluster.name}: {kind} is {status}, {reason}", every=0.3)

    def lookup(self, cluster, kind="A", left=""):
        server = cluster.get("-n", NAMESPACE, "svc", "causeway-dns")["spec"]["clusterIP"]
        return cluster.pods[0].lookup(left + self.full, kind, server=server)

    def slices(self, cluster):
        return cluster.get("-n", self.namespace, "endpointslices", "-l", f"{SLICE}={self.name}")["items"]

    def served_by(self, cluster, requests=24, port=None):
        """The pods that answer new connections from a pod, by the name. No connection may fail."""
        address = self.lookup(cluster)
        assert address
        port = port or (80 if self.vip == "clusterip" else 8080)
        done = [cluster.pods[0].run("curl", "-s", "-m", "2", f"http://{address[n % len(address)]}:{port}/cgi-bin/where",
                                    check=False).stdout.strip() for n in range(requests)]
        assert "" not in done, f"{done.count('')} of {requests} connections failed"
        return set(done)

    def wait_until_served_by(self, cluster, wanted):
        wait_until(lambda: self.served_by(cluster) == wanted, 40,
                   f"{cluster.name}: {self.name} is served by {sorted(wanted)}", every=0.5)


def pods(*clusters):
    return {pod.name for cluster in clusters for pod in cluster.pods}


def test_items_1_2_and_8_exports_of_one_name_are_one_service_until_the_last_goes(joined, vip):
    east, west = joined
    name = Name(vip, "item1")
    for cluster in joined:
        name.service(cluster)
    name.export(east)
    for cluster in joined:
        name.wait_for_clusters(cluster, ["east"])
    stays_true(lambda: name.clusters(east) == ["east"], 2, "a Service without an export takes no part", every=0.5)
    name.export(west)
    for cluster in joined:
        name.wait_for_clusters(cluster, ["east", "west"])
        name.wait_until_served_by(cluster, pods(*joined))
    name.unexport(east)
    for cluster in joined:
        name.wait_for_clusters(cluster, ["west"])
        name.wait_until_served_by(cluster, pods(west))
    name.unexport(west)
    for cluster in joined:
        wait_until(lambda c=cluster: name.imported(c) is None and not name.slices(c) and not name.lookup(c), 30,
                   "nothing is left of it", every=0.3)


def test_items_3_and_4_what_can_be_exported(joined, vip):
    east, west = joined
    outside, late, port = (Name(vip, n) for n in ("external", "late", "nodeport"))
    outside.service(east, type="ExternalName", externalName="example.com", ports=[], selector=None)
    for name in (outside, late):
        name.export(east)
    outside.wait_for_condition(east, "Valid", "False", "InvalidServiceType")
    late.wait_for_condition(east, "Valid", "False", "NoService")
    late.service(east)
    late.wait_for_condition(east, "Valid", "True", "Valid")
    port.service(east, type="NodePort")
    port.export(east)
    for name in (late, port):
        name.wait_for_clusters(west, ["east"])
        assert name.imported(west)["spec"]["type"] == "ClusterSetIP"
    assert outside.imported(west) is None


def test_item_5_only_the_exports_spec_gives_labels_and_annotations(joined, vip):
    east, west = joined
    name = Name(vip, "item5")
    name.service(east)
    name.export(east, exportedLabels={"team": "db"}, exportedAnnotations={"example.com/note": "x"})
    name.wait_for_clusters(west, ["east"])
    meta = name.imported(west)["metadata"]
    assert (meta.get("labels"), meta.get("annotations")) == ({"team": "db"}, {"example.com/note": "x"})


def test_item_6_users_cannot_write_imports(joined, vip):
    for cluster in joined:
        for role in ("admin", "edit"):
            name = f"checklist-{role}"
            cluster.kubectl("-n", "demo", "create", "rolebinding", name, f"--clusterrole={role}", "--user=jane",
                            check=False)
            said = cluster.kubectl("auth", "can-i", "create", "serviceimports.multicluster.x-k8s.io", "-n", "demo",
                                   "--as=jane", check=False).stdout.strip()
            cluster.kubectl("-n", "demo", "delete", "rolebinding", name)
            assert said == "no", role


def test_item_7_a_namespace_that_comes_later_imports_too(joined, vip):
    east, west = joined
    name = Name(vip, "item7", f"later-{vip}")
    east.kubectl("create", "namespace", name.namespace)
    name.service(east)
    name.export(east)
    name.wait_for_clusters(east, ["east"])
    assert name.imported(west) is None
    west.kubectl("create", "namespace", name.namespace)
    name.wait_for_clusters(west, ["east"])
    for cluster in joined:
        cluster.kubectl("delete", "namespace", name.namespace, "--wait=false")


def test_items_9_and_14_headless_services_have_names_and_no_address(joined, vip):
    east, west = joined
    name = Name(vip, "item9")
    for cluster in joined:
        name.service(cluster, clusterIP="None")
        name.export(cluster)
    name.wait_for_clusters(west, ["east", "west"])
    spec = name.imported(west)["spec"]
    assert spec["type"] == "Headless" and not spec.get("ips")
    addresses = sorted(pod.ip for cluster in joined for pod in cluster.pods)
    wait_until(lambda: name.lookup(west) == addresses, 20, "D4: every pod's address", every=0.3)
    pod = east.pods[0]
    for label in (pod.ip.replace(".", "-"), pod.name):  # D5
        assert name.lookup(west, left=f"{label}.east.") == [pod.ip]
    targets = sorted(f"0 50 8080 {p.ip.replace('.', '-')}.{c.name}.{name.full}." for c in joined for p in c.pods)
    assert name.lookup(west, "SRV", "_http._tcp.") == targets  # D6
    assert name.lookup(west, "SRV") == targets  # D9
    assert name.lookup(west, left="east.") == []  # D8


def test_items_10_and_11_the_address_stays_and_has_its_family(joined, vip):
    east, west = joined
    name = Name(vip, "item10")
    for cluster in joined:
        name.service(cluster)
    name.export(east)
    name.wait_until_served_by(west, pods(east))
    if vip == "clusterip":
        wait_until(lambda: name.imported(west)["spec"].get("ips"), 20, "the import has the address", every=0.3)
    before = name.imported(west)["spec"]
    if vip == "clusterip":
        assert len(before["ips"]) == 1 and before["ipFamilies"] == ["IPv4"]
        assert name.lookup(west) == before["ips"]  # D2
        assert name.lookup(west, "SRV", "_http._tcp.") == [f"0 50 80 {name.full}."]  # D3
    else:
        assert not before.get("ips") and name.lookup(west) == sorted(pod.ip for pod in east.pods)
        assert name.lookup(west, "SRV", "_http._tcp.") == [f"0 50 8080 {name.full}."]
    name.export(west)
    name.wait_until_served_by(west, pods(*joined))
    assert name.imported(west)["spec"] == before


def test_items_13_and_14_status_and_slices_name_each_cluster(joined, vip):
    east, west = joined
    name = Name(vip, "item13")
    for cluster in joined:
        name.service(cluster)
        name.export(cluster)
    for cluster in joined:
        name.wait_for_clusters(cluster, ["east", "west"])
        row = cluster.kubectl("-n", "demo", "get", "serviceimports", name.name).stdout
        assert "east" in row and "west" in row, "kubectl get shows all clusters"
        said = name.imported(cluster)["status"]["endpointSliceObjects"]
        if vip == "endpoints":
            assert said == "Absent" and not name.slices(cluster)
            continue
        assert said == "Present"
        found = wait_until(lambda c=cluster: len(name.slices(c)) == 2 and name.slices(c), 20, "a slice a cluster",
                           every=0.3)
        assert {s["metadata"]["labels"][SOURCE] for s in found} == {"east", "west"}
        for one in found:
            labels = one["metadata"]["labels"]
            assert labels["endpointslice.kubernetes.io/managed-by"] == "discovery.causeway.dev"
            assert one["ports"][0]["port"] == 8080


def test_item_15_a_cluster_that_is_away_takes_no_new_connections(joined, vip):
    east, west = joined
    name = Name(vip, "item15")
    for cluster in joined:
        name.service(cluster)
        name.export(cluster)
    name.wait_until_served_by(east, pods(*joined))
    west.kubectl("-n", NAMESPACE, "scale", "statefulset", "causeway-gateway", "--replicas=0")
    try:
        name.wait_until_served_by(east, pods(east))
    finally:
        west.kubectl("-n", NAMESPACE, "scale", "statefulset", "causeway-gateway", "--replicas=2")
    west.kubectl("-n", NAMESPACE, "rollout", "status", "statefulset/causeway-gateway", "--timeout=100s", timeout=110)
    name.wait_until_served_by(east, pods(*joined))


def test_items_16_17_and_18_the_oldest_decides_and_all_are_told(joined, vip):
    east, west = joined
    name = Name(vip, "item16")
    name.service(east)
    name.service(west, clusterIP="None")
    name.export(east)
    name.wait_for_clusters(west, ["east"])
    time.sleep(2.1)  # creation times have whole seconds; the reference calls closer ones undefined
    name.export(west)
    for cluster in joined:
        message = name.wait_for_condition(cluster, "Conflict", "True", "TypeConflict")[2]
        assert "1/2 clusters disagree" in message and "cluster east" in message
        assert name.imported(cluster)["spec"]["type"] == "ClusterSetIP"
    name.unexport(west)
    name.wait_for_condition(east, "Conflict", "False", "NoConflicts")


def test_items_2_and_16_a_number_leads_only_to_clusters_that_expose_it(joined, vip):
    east, west = joined
    name = Name(vip, "ports")
    name.service(east)
    name.service(west, ports=[{"name": "http", "port": 8081, "targetPort": 8080}])
    name.export(east)
    name.wait_for_clusters(west, ["east"])
    time.sleep(2.1)
    name.export(west)
    for cluster in joined:
        name.wait_for_condition(cluster, "Conflict", "True", "PortConflict")
        assert [p["port"] for p in name.imported(cluster)["spec"]["ports"]] == [80]
        name.wait_until_served_by(cluster, pods(east))
    name.service(west)
    name.wait_until_served_by(west, pods(*joined))


def test_item_10_where_nothing_is_ready_the_connection_is_refused_at_once(joined, vip):
    east, west = joined
    name = Name(vip, "nothing")
    name.service(east, selector="nothing-has-this")
    name.export(east)
    name.wait_for_clusters(west, ["east"])
    if vip == "endpoints":
        assert name.lookup(west) == []
        return
    address = wait_until(lambda: name.lookup(west), 20, "it has an address", every=0.3)[0]

    def refused():
        began = time.monotonic()
        done = west.pods[0].run("curl", "-s", "-m", "5", f"http://{address}/", check=False)
        return done.returncode == 7 and time.monotonic() - began < 1  # 7: connection refused
    wait_until(refused, 20, "the virtual IP refuses", every=0.3)


# Two pods that go on serving while they terminate, until they are killed.
GRACEFUL = """
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: demo, labels: {{checklist: "yes"}}}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      terminationGracePeriodSeconds: 8
      containers:
        - name: web
          image: {image}
          imagePullPolicy: Never
          command:
            - sh
            - -c
            - |
              mkdir -p /tmp/www/cgi-bin
              printf '%s\\n' '#!/bin/sh' 'echo Content-Type: text/plain' 'echo' 'hostname' > /tmp/www/cgi-bin/where
              chmod +x /tmp/www/cgi-bin/where
              trap : TERM
              httpd -f -p 8080 -h /tmp/www &
              while :; do wait; sleep 1; done
          readinessProbe: {{tcpSocket: {{port: 8080}}, periodSeconds: 1}}
"""


def test_items_2_and_10_scaled_to_zero_in_one_cluster_nothing_fails(joined, vip, tell):
    east, west = joined
    name = Name(vip, "graceful")
    for cluster in joined:
        cluster.apply(GRACEFUL.format(name=name.name, image=IMAGE))
        name.service(cluster, selector=name.name)
        name.export(cluster)
    for cluster in joined:
        cluster.kubectl("-n", "demo", "rollout", "status", f"deploy/{name.name}", "--timeout=60s", timeout=70)
    wait_until(lambda: len(name.served_by(east)) == 4, 40, "the pods of both clusters serve", every=0.5)
    west.kubectl("-n", "demo", "scale", f"deploy/{name.name}", "--replicas=0")
    until, count, last = time.monotonic() + 14, 0, set()
    while time.monotonic() < until:
        last = name.served_by(east, requests=6)
        count += 6
    tell(f"vip: {vip}: scaled to zero in one cluster, {count} new connections, none failed")
    assert len(last) <= 2


def test_item_22_one_name_in_two_namespaces_is_two_services(joined, vip):
    east, west = joined
    other = f"other-{vip}"
    for cluster in joined:
        cluster.kubectl("create", "namespace", other)
    here, there = Name(vip, "item22"), Name(vip, "item22", other)
    here.service(east)
    here.export(east)
    there.service(west, selector="nothing")
    there.export(west)
    for cluster in joined:
        here.wait_for_clusters(cluster, ["east"])
        there.wait_for_clusters(cluster, ["west"])
        cluster.kubectl("delete", "namespace", other, "--wait=false")


def test_the_rest_of_the_zone(joined, vip):
    for cluster in joined:
        pod = cluster.pods[0]
        assert pod.lookup("dns-version.clusterset.local", "TXT") == ['"1.0.0"']  # D1
        missing = pod.run("dig", "+time=2", f"@{cluster.plane.service_address(10)}", f"none.demo.{ZONE}").stdout
        assert "NXDOMAIN" in missing
        back = pod.run("dig", "+time=2", f"@{cluster.plane.service_address(10)}", "-x",
                       cluster.plane.service_address(10)).stdout
        assert "kube-dns.kube-system.svc.cluster.local" in back  # D7: untouched
