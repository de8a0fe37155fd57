"""The Kubernetes store and the CRDs against a real API server; no nodes."""

import json
import textwrap

import pytest

from kube.control_plane import Refused

KEY = "bm90IGEga2V5IGJ1dCAzMiBieXRlcyBsb25nISEhISE="


def test_the_store_keeps_its_contract(plane, build, tell):
    done = plane.run(build / "bin/kube_contract", env={"KUBECONFIG": plane.admin}, check=False,
                     timeout=200)
    tell(next((line for line in done.stdout.splitlines() if "PASSED" in line), "no test passed"))
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


def test_requests_share_one_connection(plane, build):
    """Hundreds of requests and three watches at once, over one TCP connection."""
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
                                "endpoints": ["192.0.2.1:4500", "[2001:db8::1]:4500"]}],
                     presharedKeySecret="psk-east"))
    shown = plane.kubectl("get", "cpeer").stdout
    assert shown.split()[:5] == ["NAME", "CONNECTED", "ACCEPTED", "CIDRS", "AGE"]
    assert "east" in plane.kubectl("get", "causeway").stdout
    plane.kubectl("delete", "cpeer", "east")


@pytest.mark.parametrize("spec, says", [
    ({"allowedCidrs": ["10.0.0.0/99"]}, "want a prefix"),
    ({"allowedCidrs": ["10.0.0.0"]}, "want a prefix"),
    ({"allowedCidrs": ["10.0.0.1/8"]}, "bits beyond the prefix length"),
    ({"clusterId": "Not A Label"}, "clusterId"),
    ({"clusterId": "west"}, "the name must be the cluster's id"),
    ({"gateways": []}, "at least 1 items"),
    ({"gateways": [{"ordinal": 0, "publicKey": "short"}]}, "publicKey"),
    ({"gateways": [{"ordinal": 0, "publicKey": KEY}, {"ordinal": 0, "publicKey": KEY}]},
     "Duplicate value"),
    ({"gateways": [{"ordinal": 0, "publicKey": KEY, "endpoints": ["host.example:4500"]}]},
     "endpoints"),
    ({"gateways": [{"ordinal": 0, "publicKey": KEY, "endpoints": ["300.0.2.1:4500"]}]},
     "want an IP address and a port"),
    ({"gateways": [{"ordinal": 0, "publicKey": KEY, "endpoints": ["192.0.2.1:0"]}]},
     "port from 1 to 65535"),
])
def test_bad_peers_are_refused_with_a_reason(plane, spec, says):
    with pytest.raises(Refused, match=says):
        plane.apply(peer(**spec))


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


def test_imports_want_a_known_type(plane):
    body = {"apiVersion": "multicluster.x-k8s.io/v1beta1", "kind": "ServiceImport",
            "metadata": {"name": "pg", "namespace": "default"},
            "spec": {"type": "Other", "ports": []}}
    with pytest.raises(Refused, match="Unsupported value"):
        plane.apply(json.dumps(body))


def test_a_cluster_id_is_a_label(plane):
    body = {"apiVersion": "about.k8s.io/v1beta1", "kind": "ClusterProperty",
            "metadata": {"name": "cluster.clusterset.k8s.io"}, "spec": {"value": "Not.One"}}
    with pytest.raises(Refused, match="a cluster id is a DNS label"):
        plane.apply(json.dumps(body))
    body["spec"]["value"] = "east"
    plane.apply(json.dumps(body))
    assert "east" in plane.kubectl("get", "clusterproperties").stdout
