"""The chart without nodes: lint, golden rendering, schema, and install, upgrade, uninstall of its
objects on a real API server; the image's root file system in a chroot."""

import os
import pathlib
import subprocess

import pytest
import yaml

from fabric.wait import wait_until
from kube.causeway import CHART, NAMESPACE, ROOT, settings
from kube.control_plane import Refused, wait_for_crds
from kube.programs import program

GOLDEN = ROOT / "tests/golden"


def helm(*args, check=True):
    done = subprocess.run([program("helm"), *map(str, args)], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    if check and done.returncode != 0:
        raise AssertionError(done.stdout + done.stderr)
    return done


def test_lint_finds_nothing():
    assert "0 chart(s) failed" in helm("lint", "--strict", CHART, "--set", "cluster.id=east").stdout


@pytest.mark.parametrize("name, flags", [
    ("chart_default", []),
    ("chart_options", ["--set", "gateway.antiAffinity=preferred,gateway.endpoints={203.0.113.7:4500}",
                       "--set-json", 'gateway.endpointsOf={"1": ["gw1.example.com:4500"]}',
                       "--set", "gateway.service.type=LoadBalancer,gateway.service.annotations.all=yes",
                       "--set-json", 'gateway.service.perOrdinal={"1": {"annotations": {"own": "1"}, "nodePort": 31501}}',
                       "--set", "dns.stub=false,crds.upgrade=false,uninstall.cleanNodes=false",
                        "--set", "discovery.replicas=3,discovery.config.vip=endpoints",
                        "--set", "dns.clusterIP=10.96.0.53,log.json=true",
                        "--set", "overlay=wireguard"])])
def test_it_renders_as_reviewed(name, flags):
    text = helm("template", "causeway", CHART, "-n", NAMESPACE, "--set", "cluster.id=east",
                *flags).stdout
    path = GOLDEN / f"{name}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text(), f"UPDATE_GOLDEN=1 rewrites {path}; review the difference"


@pytest.mark.parametrize("flags, says", [
    ([], "cluster"),
    (["--set", "cluster.id=Not_A_Label"], "pattern"),
    (["--set", "cluster.id=east,gateway.replicas=0"], "minimum"),
    (["--set", "cluster.id=east,gatway.replicas=2"], "additional"),
    (["--set", "cluster.id=east,overlay=ipsec"], "overlay"),
    (["--set", "cluster.id=east,gateway.listenPort=70000"], "maximum"),
    (["--set", "cluster.id=east,gateway.service.type=ClusterIP"], "service"),
    (["--set-json", 'gateway.endpointsOf={"64": []}', "--set", "cluster.id=east"], "additional"),
])
def test_wrong_values_are_refused(flags, says):
    done = helm("template", "causeway", CHART, *flags, check=False)
    assert done.returncode != 0 and says in done.stderr.lower()


def test_a_setting_of_one_daemon_rolls_no_other():
    def pods(*flags):
        text = helm("template", "causeway", CHART, "--set", "cluster.id=east", *flags).stdout
        return {body["metadata"]["name"]: body["spec"]["template"] for body in yaml.safe_load_all(text)
                if body and body["kind"] in ("StatefulSet", "Deployment", "DaemonSet")
                and "helm.sh/hook" not in body["metadata"].get("annotations", {})}
    before = pods()
    assert len(before) == 3
    for setting, rolled in (("discovery.config.vip=endpoints", {"causeway-discovery"}),
                            ("gateway.listenPort=4600", {"causeway-gateway"}),
                            ("routeagent.config.mtu=1300", {"causeway-routeagent"}),
                            ("log.level=debug", set(before))):
        after = pods("--set", setting)
        assert {name for name in before if after[name] != before[name]} == rolled, setting


def test_addresses_to_listen_at_replace_the_charts_own():
    text = helm("template", "causeway", CHART, "--set", "cluster.id=east",
                "--set", "discovery.config.listen={192.0.2.1:5300}").stdout
    written = next(body["data"]["discovery.yaml"] for body in yaml.safe_load_all(text)
                   if body and body["kind"] == "ConfigMap" and "discovery.yaml" in body["data"])
    assert [line for line in written.splitlines() if line.startswith("listen")] == ["listen:"]
    assert yaml.safe_load(written)["listen"] == ["192.0.2.1:5300"]


class Api:
    """What settings() needs of a cluster."""
    name = "plain"


def test_its_objects_come_change_and_go_on_a_real_api_server(plane):
    run = lambda *a: plane.machine.run("env", f"HOME={plane.folder}", program("helm"),  # noqa: E731
                                       "--kubeconfig", plane.admin, *a, "-n", NAMESPACE,
                                       "--no-hooks", timeout=60)
    run("install", "causeway", CHART, "--create-namespace", *settings(Api))
    assert plane.get("clusterproperty", "cluster.clusterset.k8s.io")["spec"]["value"] == "plain"
    run("upgrade", "causeway", CHART, *settings(Api, **{"gateway.replicas": 3}))
    assert plane.get("-n", NAMESPACE, "statefulset", "causeway-gateway")["spec"]["replicas"] == 3
    run("rollback", "causeway", "1")
    assert plane.get("-n", NAMESPACE, "statefulset", "causeway-gateway")["spec"]["replicas"] == 2
    run("uninstall", "causeway")
    with pytest.raises(Refused, match="not found"):
        plane.kubectl("get", "clusterproperty", "cluster.clusterset.k8s.io")
    wide = plane.kubectl("get", "clusterrole,clusterrolebinding", "-o", "name").stdout
    assert "causeway" not in wide


def test_pods_are_not_privileged():
    text = helm("template", "causeway", CHART, "--set", "cluster.id=east").stdout
    assert "privileged: true" not in text and "SYS_ADMIN" not in text
    assert text.count("allowPrivilegeEscalation: false") == text.count("capabilities:")


def test_every_program_starts_from_the_images_root(build, tmp_path):
    root = tmp_path / "root"
    subprocess.run([ROOT / "charts/image/rootfs.sh", build, root], check=True, timeout=60)
    for name in ("causeway-gateway", "causeway-routeagent", "causeway-discovery", "causewayctl"):
        said = subprocess.run(["chroot", root, name, "--version"], stdout=subprocess.PIPE,
                              text=True, check=True, timeout=20).stdout
        assert said.startswith(f"{name} ")
    assert "nftables" in subprocess.run(["chroot", root, "nft", "--version"], check=True,
                                        stdout=subprocess.PIPE, text=True, timeout=20).stdout
    copied = {path.name for path in pathlib.Path(root / "usr/share/causeway/crds").iterdir()}
    assert copied == {path.name for path in (ROOT / "crds").iterdir()}


READ, WRITE = "list watch", "create update delete"
# account -> resource -> verbs. [names]: the rule names objects. ns/: it is for the release's namespace only;
# kube-system/: for that one.
# Where the cluster's pods are: objects of pod networks, and the administrator's settings.
PREFIXES = {"blockaffinities": READ, "ipamblocks": READ, "ipamconfigs": READ, "ipamconfigurations": READ,
            "ippools": READ, "networks": READ, "ciliumnodes": READ, "nodenetworkconfigs": READ,
            "configmaps[cilium-config kubeadm-config kube-flannel-cfg]": READ,
            "ns/configmaps[causeway-prefixes]": READ}
# Settings of the pod network that stop packets.
PACKETS = {"kube-system/configmaps[cilium-config]": READ}
RIGHTS = {
    "gateway": {
        **PREFIXES, **PACKETS, "nodes": READ, "namespaces": READ, "services": READ, "endpointslices": READ,
        "clusterproperties": READ, "serviceexports": READ, "routeagents": READ,
        "clusterpeers": "list watch get", "clusterpeers/status": "update",
        "tunnelgateways": "list watch create update", "tunnelgateways/status": "update",
        "remoteexports": f"{READ} get {WRITE}", "events": "create",
        "ns/secrets[causeway-overlay-key psk-west]": "list watch get",
        "ns/leases": "create", "ns/leases[causeway-import]": "get update"},
    "routeagent": {
        **PREFIXES, **PACKETS, "nodes": READ, "clusterproperties": READ, "tunnelgateways": READ,
        "clusterpeers": READ,
        "routeagents": "get list watch create update", "routeagents/status": "update patch",
        "events": "create", "ns/secrets[causeway-overlay-key]": "list watch get"},
    "discovery": {
        **PREFIXES, "nodes": READ, "namespaces": READ, "clusterproperties": READ, "clusterpeers": READ,
        "remoteexports": READ, "serviceexports": "list watch get", "serviceexports/status": "update",
        "serviceimports": f"{READ} {WRITE}", "serviceimports/status": "update",
        "services": READ, "endpointslices": READ, "events": "create",
        "ns/leases": "create", "ns/leases[causeway-discovery]": "get update"},
}
DERIVED = {"services": f"{READ} {WRITE}", "endpointslices": f"{READ} {WRITE}"}


def scope(binding):
    """Where a binding holds, in the form of RIGHTS."""
    if binding["kind"] == "ClusterRoleBinding":
        return ""
    namespace = binding["metadata"].get("namespace", NAMESPACE)
    return "ns/" if namespace == NAMESPACE else f"{namespace}/"


def rendered_rights(*flags):
    """The rights that the chart's roles give, in the form of RIGHTS."""
    text = helm("template", "causeway", CHART, "-n", NAMESPACE, "--set", "cluster.id=east", *flags).stdout
    bodies = [body for body in yaml.safe_load_all(text) if body]
    roles = {(body["kind"], body["metadata"]["name"]): body["rules"] for body in bodies
             if body["kind"] in ("Role", "ClusterRole")}
    rights = {}
    for body in bodies:
        if body["kind"] not in ("RoleBinding", "ClusterRoleBinding"):
            continue
        subject, = body["subjects"]
        assert subject["kind"] == "ServiceAccount" and subject["namespace"] == NAMESPACE
        mine = rights.setdefault(subject["name"].removeprefix("causeway-"), {})
        for rule in roles[body["roleRef"]["kind"], body["roleRef"]["name"]]:
            for resource in rule["resources"]:
                names = rule.get("resourceNames")
                where = scope(body) + resource
                key = where + (f"[{' '.join(names)}]" if names else "")
                mine[key] = " ".join(filter(None, [mine.get(key), *rule["verbs"]]))
    return rights


def test_every_daemon_has_the_rights_of_its_work_and_no_others():
    flags = ["--set", "pairing.presharedKeySecrets={psk-west}"]
    rights = rendered_rights(*flags, "--set", "discovery.config.vip=endpoints")
    assert {name: rights[name] for name in RIGHTS} == RIGHTS
    rights = rendered_rights(*flags)
    assert rights["discovery"] == {**RIGHTS["discovery"], **DERIVED}
    assert set(rights) - set(RIGHTS) == {"keys", "crds", "stub", "stop", "cleaned"}  # hooks


@pytest.mark.parametrize("flags", [[], ["--set", "discovery.config.vip=endpoints"]])
def test_no_account_has_a_wildcard_or_all_secrets(flags):
    for account, rights in rendered_rights(*flags).items():
        for what, verbs in rights.items():
            assert "*" not in what + verbs, f"{account}: {verbs} {what}"
            if "secrets" in what and "[" not in what:
                assert (account, what, verbs) == ("keys", "ns/secrets", "create")
            assert not what.split("/")[-1].split("[")[0] in ("pods/exec", "serviceaccounts/token", "roles")


def test_every_write_of_a_daemon_is_under_a_policy():
    """RBAC cannot say whose object it is. So each resource that a daemon writes has a policy, or is
    written by name, or is that daemon's alone."""
    alone = {"ns/leases[causeway-import]", "ns/leases[causeway-discovery]", "serviceexports/status",
             "serviceimports", "serviceimports/status"}
    text = helm("template", "causeway", CHART, "-n", NAMESPACE, "--set",
                "cluster.id=east").stdout
    held = set()
    for body in yaml.safe_load_all(text):
        if body and body["kind"] == "ValidatingAdmissionPolicy":
            assert body["spec"]["failurePolicy"] == "Fail" and body["spec"]["matchConditions"]
            for rule in body["spec"]["matchConstraints"]["resourceRules"]:
                held |= set(rule["resources"])
    rights = rendered_rights()
    for account in RIGHTS:
        for what, verbs in rights[account].items():
            if set(verbs.split()) & {"create", "update", "patch", "delete"} and what not in alone:
                assert what.removeprefix("ns/") in held, f"{account}: {verbs} {what}"


def gateways(*flags):
    text = helm("template", "causeway", CHART, "--set", "cluster.id=east", *flags).stdout
    return next(body["spec"] for body in yaml.safe_load_all(text) if body and body["kind"] == "StatefulSet")


def test_a_cluster_of_one_node_gets_one_gateway():
    affinity = lambda spec: list(spec["template"]["spec"]["affinity"]["podAntiAffinity"])  # noqa: E731
    several, one = gateways(), gateways("--set", "cluster.nodes=1")
    assert several["replicas"] == 2 and affinity(several) == ["requiredDuringSchedulingIgnoredDuringExecution"]
    assert one["replicas"] == 1 and affinity(one) == ["preferredDuringSchedulingIgnoredDuringExecution"]
    assert gateways("--set", "cluster.nodes=3")["replicas"] == 2


NODE = """
apiVersion: v1
kind: Node
metadata: {name: %s, labels: {pool: %s}}
spec: {taints: [%s]}
"""


def test_helm_counts_the_nodes_that_can_run_a_gateway(plane):
    def notes(*flags):
        return plane.machine.run("env", f"HOME={plane.folder}", program("helm"), "--kubeconfig", plane.admin,
                                 "install", "counted", CHART, "-n", NAMESPACE, "--dry-run=server",
                                 *settings(Api), *flags, timeout=60)
    taint = "{key: node-role.kubernetes.io/control-plane, effect: NoSchedule}"
    passing = "{key: node.kubernetes.io/not-ready, effect: NoSchedule}"
    for name, pool, taints in (("a", "one", passing), ("b", "two", taint)):
        plane.kubectl("apply", "-f", "-", stdin=NODE % (name, pool, taints))
    try:
        told = "One node can run a gateway"
        assert told in notes().stdout
        assert told not in notes("--set", "gateway.tolerations[0].operator=Exists").stdout
        assert told in notes("--set", "gateway.tolerations[0].operator=Exists,gateway.nodeSelector.pool=two").stdout
        assert told not in notes("--set", "cluster.nodes=2").stdout
    finally:
        plane.kubectl("delete", "node", "a", "b")


# As an older version had it. Its short name is left out: the API server refuses one that is in use.
OLD_CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gateways.causeway.dev}
spec:
  group: causeway.dev
  scope: Cluster
  names: {kind: Gateway, plural: gateways}
  versions: [{name: v1alpha1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
"""
REMEDY = "Run `kubectl delete crd gateways.causeway.dev`"


@pytest.mark.parametrize("served, refused", [
    ("causeway.dev/v1alpha1/Gateway", True), ("causeway.dev/v1alpha1/TunnelGateway", False),
    ("gateway.networking.k8s.io/v1/Gateway", False)])
def test_the_crd_of_the_kinds_former_name_is_refused_with_the_remedy(served, refused):
    done = helm("template", "causeway", CHART, "--set", "cluster.id=east", "--api-versions", served, check=False)
    assert (done.returncode != 0, REMEDY in done.stderr) == (refused, refused), done.stderr
    told = [line for line in done.stderr.splitlines() if "gateways.causeway.dev" in line]
    assert len(told) == refused, "one line says it"


def test_helm_finds_the_crd_of_the_kinds_former_name(plane):
    def install():
        return plane.machine.run("env", f"HOME={plane.folder}", program("helm"), "--kubeconfig", plane.admin,
                                 "install", "late", CHART, "-n", NAMESPACE, "--dry-run=server", *settings(Api),
                                 check=False, timeout=60)
    plane.apply(OLD_CRD)
    try:
        wait_for_crds(plane)
        wait_until(lambda: REMEDY in install().stderr, 20, "Helm refuses and says what to do", every=0.5)
    finally:
        plane.kubectl("delete", "crd", "gateways.causeway.dev")
    wait_until(lambda: install().returncode == 0, 20, "without it Helm installs", every=0.5)


def test_without_admission_there_are_no_policies():
    text = helm("template", "causeway", CHART, "--set", "cluster.id=east,admission.enabled=false").stdout
    assert "ValidatingAdmissionPolicy" not in text


def test_a_gateways_pod_sees_its_own_key_only_and_more_replicas_roll_none():
    def pod(replicas):
        text = helm("template", "causeway", CHART, "--set", f"cluster.id=east,gateway.replicas={replicas}").stdout
        return next(body["spec"]["template"] for body in yaml.safe_load_all(text)
                    if body and body["kind"] == "StatefulSet")
    assert pod(2) == pod(8) != pod(9)
    spec = pod(2)["spec"]
    mount = next(m for m in spec["containers"][0]["volumeMounts"] if m["name"] == "keys")
    assert mount == {"name": "keys", "mountPath": "/etc/causeway-key", "readOnly": True,
                     "subPathExpr": "keys/$(ORDINAL)"}
    sources = next(v for v in spec["volumes"] if v["name"] == "keys")["projected"]["sources"]
    assert [s["secret"]["items"][0]["path"] for s in sources if "secret" in s] == [
        f"keys/{n}/privateKey" for n in range(8)]
