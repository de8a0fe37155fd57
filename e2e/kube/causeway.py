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


def carrier(cluster, other):
    """(node, pid) of the gateway that carries the first pod's packets to `other`."""
    node, target = cluster.pods[0].node, other.pods[0].ip
    route = node.out("ip", "route", "get", target)
    here = "cw-wg" in route
    return next((n, pid) for n, pid in daemon_pids(cluster, "causeway-gateway")
                if (n is node) == here)


def pairs_of(ones, others):
    """(pod, pod, nth family) for every two pods and every family that both have."""
    return [(one, other, nth) for one in ones for other in others
            for nth in range(min(len(one.ips), len(other.ips)))]


def assert_pods_see_each_other(one, other):
    """Each pod sees the other under its own address, in both directions and in every family."""
    for here, there, nth in pairs_of(one.pods, other.pods):
        assert here.sees_us_as(there, nth) == here.ips[nth], f"{here.ips[nth]} -> {there.ips[nth]}"
        assert there.sees_us_as(here, nth) == there.ips[nth], f"{there.ips[nth]} -> {here.ips[nth]}"


def wait_until_reached(sources, targets, deadline=40):
    for source, target, nth in pairs_of(sources, targets):
        wait_until(lambda s=source, t=target, n=nth: s.sees_us_as(t, n) == s.ips[n], deadline,
                   f"{source.name} reaches {target.name} at {target.ips[nth]} under its own address", every=0.3)
