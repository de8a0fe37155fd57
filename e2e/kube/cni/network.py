"""What a cluster asks of its pod network.

Those of other projects run as plain processes on the nodes, with the administrator's kubeconfig. What they do to
addresses, routes and netfilter is the same as in pods.
"""

import functools
import pathlib
import subprocess

HERE = pathlib.Path(__file__).resolve().parent


@functools.cache
def programs(cni):
    """The folder with the programs of a pod network. They are built once if they are missing."""
    done = subprocess.run([HERE / "programs.sh", cni], stdout=subprocess.PIPE, text=True, check=True, timeout=2400)
    return pathlib.Path(done.stdout.strip().splitlines()[-1])


class PodNetwork:
    source = "node"       # where Causeway finds the prefixes: status.prefixSource of TunnelGateways
    node_prefixes = True  # kube-controller-manager gives every Node a podCIDR
    has_policies = False  # NetworkPolicies are in force

    def plugins(self, _cluster):
        """The folder of CNI plugins, as containerd on the nodes sees it."""
        return "/usr/lib/cni"

    def start(self, cluster):
        """Configures all nodes, which are registered by now. The kubelets find them ready afterwards."""
        raise NotImplementedError


def has_family(plane, family):
    """Whether the cluster's pods have addresses of the family, as programs want to read it."""
    return "true" if any((":" in cidr) == (family == 6) for cidr in plane.pod_cidrs) else "false"


def write_configuration(node, name, text):
    """Gives containerd on the node the CNI configuration at once and whole."""
    partial = node.home / f"cni/.{name}"
    partial.write_text(text)
    partial.rename(node.home / f"cni/{name}")
