"""The Kubernetes store and the CRDs against a real API server; no nodes."""

import json
import textwrap
import time

import pytest

from fabric.wait import stays_true, wait_until
from kube.control_plane import Refused

KEY = "bm90IGEga2V5IGJ1dCAzMiBieXRlcyBsb25nISEhISE="


KINDS = ("serviceexports", "serviceimports", "services", "endpointslices", "nodes", "leases",
         "clusterpeers", "remoteexports", "clusterproperties")


def test_the_store_keeps_its_contract(plane, build, tell):
    done = plane.run(build / "bin/kube_contract", env={"KUBECONFIG": plane.admin}, check=False,
                     timeout=200)
    tell(next((line for line in done.stdout.splitlines() if "PASSED" in line), "no test passed"))
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


def test_requests_share_one_connection(plane, build):
    """Hundreds of requests and three watches at the same time use one TCP connection."""
    process = plane.machine.spawn(
        "contract", "env", f"KUBECONFIG={plane.admin}", build / "bin/kube_contract",
        "--gtest_filter=*TenThousand*")
    most = 0
    while process.alive():
        seen = plane.machine.out("ss", "-Htnp", "state", "established", "dport", "=", ":6443")
        most = max(most, sum("kube_contract" in line for line in seen.splitlines()))
    assert process.wait(1) == 0, process.output()[-2000:]
    assert most == 1


def peer(name="east", **spec):
    body = {"clusterId": name, "gateways": [{"ordinal": 0, "publicKey": KEY}], **spec}
    return json.dumps({"apiVersion": "causeway.dev/v1alpha1", "kind": "ClusterPeer",
                       "metadata": {"name": name}, "spec": body})


def test_good_peers_are_accepted_and_shown_at_a_glance(plane):
    plane.apply(peer(allowedCidrs=["10.8.0.0/16", "fd00:8::/48"],
                     gateways=[{"ordinal": 0, "publicKey": KEY,
                                "endpoints": ["192.0.2.1:4500", "[2001:db8::1]:4500", "gw0.Example.com:4500"]}],
                     presharedKeySecret="psk-east"))
    shown = plane.kubectl("get", "cpeer").stdout
    assert shown.split()[:5] == ["NAME", "CONNECTED", "ACCEPTED", "CIDRS", "AGE"]
    assert "east" in plane.kubectl("get", "causeway").stdout
    plane.kubectl("delete", "cpeer", "east")


def test_a_mark_that_a_pairing_has_ended_needs_no_gateway(plane):
    plane.apply(peer("gone", gateways=[], unpaired=True))
    plane.kubectl("delete", "cpeer", "gone")


@pytest.mark.parametrize("spec, says", [
    ({"allowedCidrs": ["10.0.0.0/99"]}, "want a prefix"),
    ({"allowedCidrs": ["10.0.0.0"]}, "want a prefix"),
    ({"allowedCidrs": ["10.0.0.1/8"]}, "bits beyond the prefix length"),
    ({"clusterId": "Not A Label"}, "clusterId"),
    ({"clusterId": "west"}, "the name must be the cluster's id"),
    ({"gateways": []}, "at least one gateway"),
    ({"gateways": [{"ordinal": 0, "publicKey": "short"}]}, "publicKey"),
    ({"gateways": [{"ordinal": 0, "publicKey": KEY}, {"ordinal": 0, "publicKey": KEY}]},
     "Duplicate value"),
    ({"gateways": [{"ordinal": 0, "publicKey": KEY, "endpoints": ["host:4500"]}]},
     "endpoints"),
    ({"gateways": [{"ordinal": 0, "publicKey": KEY, "endpoints": ["300.0.2.1:4500"]}]},
     "want an IP address or a DNS name and a port"),
    ({"gateways": [{"ordinal": 0, "publicKey": KEY, "endpoints": ["192.0.2.1:0"]}]},
     "port from 1 to 65535"),
    ({"gateways": [{"ordinal": 0, "publicKey": KEY, "endpoints": ["gw0.example.com:65536"]}]},
     "port from 1 to 65535"),
    ({"gateways": [{"ordinal": 0, "publicKey": KEY, "endpoints": ["gw_0.example.com:4500"]}]},
     "endpoints"),
    ({"imports": [{"service": "pg"}]}, "namespace"),
    ({"imports": [{"namespace": "Data"}]}, "imports"),
    ({"imports": [{"namespace": "data", "service": "p*"}]}, "imports"),
    ({"imports": [{"namespace": "data", "overLocal": "yes"}]}, "overLocal"),
    *[({"allowedCidrs": [cidr]}, "never a cluster's") for cidr in (
        "0.0.0.0/8", "127.0.0.0/8", "127.1.2.3/32", "169.254.169.254/32", "169.0.0.0/8",
        "224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32", "::/128", "::1/128", "64:ff9b::/96",
        "fe80::/64", "fe80::/16", "ff00::/16", "ff02::1/128")],
    *[({"allowedCidrs": [cidr]}, "wider than") for cidr in ("0.0.0.0/0", "192.0.0.0/2", "::/0",
                                                           "fd00::/8")],
    *[({"gateways": [{"ordinal": 0, "publicKey": KEY, "endpoints": [endpoint]}]},
       "unicast address of another host") for endpoint in (
        "127.0.0.1:53", "0.0.0.0:4500", "224.0.0.1:4500", "169.254.169.254:80", "[::1]:4500",
        "[::]:4500", "[ff02::1]:4500", "[fe80::1]:4500")],
])
def test_bad_peers_are_refused_with_a_reason(plane, spec, says):
    with pytest.raises(Refused, match=says):
        plane.apply(peer(**spec))


def test_imports_keep_what_they_say_and_name_all_services_by_default(plane):
    plane.apply(peer("shared", imports=[{"namespace": "*", "overLocal": True},
                                        {"namespace": "data", "service": "pg", "followPolicy": True}]))
    seen = plane.get("cpeer", "shared")["spec"]["imports"]
    assert seen == [{"namespace": "*", "service": "*", "overLocal": True},
                    {"namespace": "data", "service": "pg", "followPolicy": True}]
    plane.apply(peer("closed", imports=[]))
    assert plane.get("cpeer", "closed")["spec"]["imports"] == [], "nothing is not everything"
    plane.kubectl("delete", "cpeer", "shared", "closed")


def test_what_identifies_cannot_change(plane):
    plane.apply(peer("north"))
    with pytest.raises(Refused, match="clusterId cannot change"):
        plane.kubectl("patch", "cpeer", "north", "--type=merge", "-p",
                      '{"spec": {"clusterId": "south"}}')
    plane.kubectl("delete", "cpeer", "north")


def test_both_versions_of_the_mcs_api_show_the_same_object(plane):
    plane.apply(textwrap.dedent("""
        apiVersion: multicluster.x-k8s.io/v1alpha1
        kind: ServiceExport
        metadata: {name: pg, namespace: default}
        spec: {exportedLabels: {a: b}}
        """))
    for version in ("v1alpha1", "v1beta1"):
        seen = plane.get(f"serviceexports.{version}.multicluster.x-k8s.io", "pg")
        assert seen["spec"] == {"exportedLabels": {"a": "b"}}
    stored = plane.get("crd", "serviceexports.multicluster.x-k8s.io")["status"]["storedVersions"]
    assert stored == ["v1beta1"]
    plane.kubectl("delete", "svcex", "pg")


def test_item_13_kubectl_shows_all_clusters_of_an_import(plane):
    plane.apply(json.dumps({"apiVersion": "multicluster.x-k8s.io/v1beta1", "kind": "ServiceImport",
                            "metadata": {"name": "pg", "namespace": "default"},
                            "spec": {"type": "ClusterSetIP", "ports": []}}))
    plane.kubectl("patch", "svcim", "pg", "--subresource=status", "--type=merge", "-p",
                  '{"status": {"clusters": [{"cluster": "east"}, {"cluster": "west"}]}}')
    header, row = plane.kubectl("get", "serviceimports").stdout.splitlines()
    assert "CLUSTERS" in header and "east" in row and "west" in row
    plane.kubectl("delete", "svcim", "pg")


def test_imports_want_a_known_type(plane):
    body = {"apiVersion": "multicluster.x-k8s.io/v1beta1", "kind": "ServiceImport",
            "metadata": {"name": "pg", "namespace": "default"},
            "spec": {"type": "Other", "ports": []}}
    with pytest.raises(Refused, match="Unsupported value"):
        plane.apply(json.dumps(body))


def test_item_19_cluster_properties_are_served_in_both_versions_and_stored_as_v1beta1(plane):
    body = {"apiVersion": "about.k8s.io/v1alpha1", "kind": "ClusterProperty",
            "metadata": {"name": "site.example.com"}, "spec": {"value": "left"}}
    plane.apply(json.dumps(body))
    for version in ("v1alpha1", "v1beta1"):
        seen = plane.get(f"clusterproperties.{version}.about.k8s.io", "site.example.com")
        assert seen["spec"] == {"value": "left"}
    assert plane.get("crd", "clusterproperties.about.k8s.io")["status"]["storedVersions"] == ["v1beta1"]
    body["spec"]["value"] = "right"  # only the cluster's id is immutable
    plane.apply(json.dumps(body))
    body["spec"]["value"] = ""
    with pytest.raises(Refused, match="should be at least 1 chars long"):
        plane.apply(json.dumps(body))
    plane.kubectl("delete", "clusterproperty", "site.example.com")


def test_item_20_a_cluster_id_is_a_label_and_cannot_change(plane):
    body = {"apiVersion": "about.k8s.io/v1beta1", "kind": "ClusterProperty",
            "metadata": {"name": "cluster.clusterset.k8s.io"}, "spec": {"value": "Not.One"}}
    with pytest.raises(Refused, match="a cluster id is a DNS label"):
        plane.apply(json.dumps(body))
    body["spec"]["value"] = "east"
    plane.apply(json.dumps(body))
    assert "east" in plane.kubectl("get", "clusterproperties").stdout
    body["spec"]["value"] = "west"
    with pytest.raises(Refused, match="a cluster id cannot change"):
        plane.apply(json.dumps(body))


def test_a_revoked_token_is_replaced_by_the_one_in_the_file(plane, build, run_folder):
    """A token that is bound to a Secret ends with it. A daemon that has it goes on with the next token in its
    file, as after the kubelet's rotation."""
    plane.kubectl("create", "namespace", "tokens")
    plane.kubectl("-n", "tokens", "create", "serviceaccount", "daemon")
    plane.kubectl("create", "clusterrolebinding", "tokens", "--clusterrole=cluster-admin",
                  "--serviceaccount=tokens:daemon")

    def token(bound):
        plane.kubectl("-n", "tokens", "create", "secret", "generic", bound)
        return plane.kubectl("-n", "tokens", "create", "token", "daemon",
                             "--bound-object-kind=Secret", f"--bound-object-name={bound}").stdout
    path = run_folder / "token"
    path.write_text(token("first"))
    config = plane.pki.kubeconfig("by-token", f'{{tokenFile: "{path}"}}')
    body = {"apiVersion": "about.k8s.io/v1beta1", "kind": "ClusterProperty",
            "metadata": {"name": "cluster.clusterset.k8s.io"}, "spec": {"value": "east"}}
    plane.apply(json.dumps(body))
    settings = run_folder / "discovery.yaml"
    settings.write_text(f'store: "kube:{config}"\nnamespace: tokens\nidentity: one\n'
                        "listen: [127.0.0.1:5353]\nstatus: 127.0.0.1:9803\n")
    daemon = plane.machine.spawn("discovery", build / "bin/causeway-discovery", "--config",
                                 settings)

    def renewed():
        return plane.get("-n", "tokens", "lease", "causeway-discovery")["spec"]["renewTime"]
    wait_until(renewed, 20, "it leads", every=0.3)
    path.write_text(token("second"))
    plane.kubectl("-n", "tokens", "delete", "secret", "first")
    seconds = 12  # the API server caches a token for 10 s
    stays_true(daemon.alive, seconds, "the daemon runs")
    before = renewed()
    wait_until(lambda: renewed() != before, 10, "it renews its Lease with the new token", every=0.3)
    assert daemon.stop() == 0


@pytest.mark.timing
def test_an_idle_daemon_asks_little(plane, build, run_folder, tell):
    """Requests per minute of one idle discovery daemon, and its memory."""
    settings = run_folder / "idle.yaml"
    settings.write_text(f'store: "kube:{plane.admin}"\nnamespace: default\nidentity: two\n'
                        "listen: [127.0.0.1:5354]\nstatus: 127.0.0.1:9804\n")

    def requests():
        """All requests but the ends of watches, and those of kubectl and the API server itself."""
        text = plane.kubectl("get", "--raw", "/metrics").stdout
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
                   if line.startswith("apiserver_request_total{")
                   and any(f'resource="{kind}"' in line for kind in KINDS))
    daemon = plane.machine.spawn("idle", build / "bin/causeway-discovery", "--config", settings)
    wait_until(lambda: plane.get("lease", "causeway-discovery"), 20, "it leads", every=0.3)
    before, began = requests(), time.monotonic()
    stays_true(daemon.alive, 20, "the daemon runs")
    rate = (requests() - before) * 60 / (time.monotonic() - began)
    tell(f"an idle leader of the discovery daemons makes {rate:.0f} requests per minute; "
         f"{daemon.resident_kib() / 1024:.1f} MiB resident")
    assert rate < 100  # the Lease: read and renewed every 2 s or so
    assert daemon.stop() == 0
