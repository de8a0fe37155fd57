"""Causeway in a cluster, by Helm, and causewayctl outside of it, with a kubeconfig of two contexts."""

import pathlib
import re

from fabric.wait import wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "charts/causeway"
NAMESPACE = "causeway-system"
VALUES = {"image.repository": "docker.io/library/causeway", "image.tag": "e2e",
          "image.pullPolicy": "Never", "routeagent.config.holdDown": "2s"}


def settings(cluster, **more):
    values = {**VALUES, "cluster.id": cluster.name, **more}
    out = []
    for key, value in values.items():
        out += ["--set", f"{key}={value}"]
    return out


def install(cluster, verb="install", *flags, **more):
    return cluster.helm(verb, "causeway", CHART, "-n", NAMESPACE, "--create-namespace", "--wait",
                        "--timeout", "120s", *settings(cluster, **more), *flags, timeout=200)


def chart_test(cluster):
    """The chart's own test, as an administrator runs it."""
    shown = cluster.helm("test", "causeway", "-n", NAMESPACE, "--timeout", "160s").stdout
    assert "Phase:          Succeeded" in shown


def uninstall(cluster):
    return cluster.helm("uninstall", "causeway", "-n", NAMESPACE, "--wait", "--timeout", "200s",
                        timeout=240)


def two_contexts(clusters, path):
    """One kubeconfig with one context per cluster."""
    parts = {"clusters": [], "users": [], "contexts": []}
    for cluster in clusters:
        text = pathlib.Path(cluster.plane.admin).read_text()
        for part in parts:
            body = re.search(rf"^{part}:\n((?:[ -].*\n)+)", text, re.M).group(1)
            parts[part].append(body)
    path.write_text("apiVersion: v1\nkind: Config\n" + "".join(
        f"{part}:\n{''.join(bodies)}" for part, bodies in parts.items()))
    return path


class Ctl:
    """causewayctl on the underlay, where both API servers can be reached."""

    def __init__(self, machine, build, kubeconfig):
        self._machine, self._build, self._kubeconfig = machine, build, kubeconfig

    def __call__(self, *args, check=True, timeout=60):
        return self._machine.run("env", f"KUBECONFIG={self._kubeconfig}",
                                 self._build / "bin/causewayctl", *args, check=check,
                                 timeout=timeout)


def daemon_pids(cluster, program):
    """(node, pid in the node's namespace) of every running daemon of that program."""
    found = []
    for node in cluster.nodes:
        for pid in node.run("pgrep", "-x", program[:15], check=False).stdout.split():
            found.append((node, int(pid)))
    return found


def assert_pods_see_each_other(one, other):
    """Each pod sees the other under its own address, in both directions."""
    for here in one.pods:
        for there in other.pods:
            assert here.sees_us_as(there) == here.ip
            assert there.sees_us_as(here) == there.ip


def wait_until_reached(sources, targets, deadline=40):
    for source in sources:
        for target in targets:
            wait_until(lambda s=source, t=target: s.sees_us_as(t) == s.ip, deadline,
                       f"{source.name} reaches {target.name} under its own address", every=0.3)
