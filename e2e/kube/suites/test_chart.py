"""The chart without nodes: lint, golden rendering, schema, and install, upgrade, uninstall of its
objects on a real API server; the image's root file system in a chroot."""

import os
import pathlib
import subprocess

import pytest
import yaml

from kube.causeway import CHART, NAMESPACE, ROOT, settings
from kube.control_plane import Refused
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
                       "--set", "dns.stub=false,crds.upgrade=false,uninstall.cleanNodes=false",
                       "--set", "discovery.replicas=3,dns.clusterIP=10.96.0.53,log.json=true"])])
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
    (["--set", "cluster.id=east,gateway.listenPort=70000"], "maximum"),
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
    for setting, rolled in (("discovery.config.vip=clusterip", {"causeway-discovery"}),
                            ("gateway.listenPort=4600", {"causeway-gateway"}),
                            ("routeagent.config.mtu=1300", {"causeway-routeagent"}),
                            ("log.level=debug", set(before))):
        after = pods("--set", setting)
        assert {name for name in before if after[name] != before[name]} == rolled, setting


class Api:
    """What settings() wants to know of a cluster."""
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
