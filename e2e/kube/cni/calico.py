"""Calico: its own IPAM, VXLAN, the iptables data plane on nftables, custom resources in the cluster's own API.

A node takes blocks of addresses from the pool, and further ones while pods run. No Typha and no BIRD: two nodes need
neither. Calico's kube-controllers do not run, so blocks of deleted nodes are not given back.
"""

import json
import pathlib

from fabric.wait import wait_until
from kube.cni.network import PodNetwork, has_family, programs, write_configuration

DEBIAN_PLUGINS = pathlib.Path("/usr/lib/cni")
MTU = 1450


class Calico(PodNetwork):
    source = "calico"
    has_policies = True

    def __init__(self, node_prefixes=False, block_size=26):
        """`node_prefixes`: kube-controller-manager gives Nodes podCIDRs that Calico does not use."""
        self.node_prefixes, self.block_size = node_prefixes, block_size

    def plugins(self, cluster):
        """Calico's two plugins beside Debian's. They are one program, which goes by its name."""
        folder = cluster.folder / "plugins"
        folder.mkdir()
        for plugin in DEBIAN_PLUGINS.iterdir():
            (folder / plugin.name).symlink_to(plugin)
        for name in ("calico", "calico-ipam"):
            (folder / name).symlink_to(programs("calico") / "calico")
        return folder

    def start(self, cluster):
        cluster.kubectl("apply", "-f", programs("calico") / "crds")
        cluster.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
        for node in cluster.nodes:
            self._start_node(cluster, node)

    def _start_node(self, cluster, node):
        settings = {**self._settings(cluster.plane), "FELIX_FELIXHOSTNAME": node.name,
                    "NODENAME": node.name, "KUBECONFIG": str(cluster.plane.admin)}
        agent = ["env", *(f"{key}={value}" for key, value in settings.items()), programs("calico") / "calico-node"]
        node.run("mkdir", "-p", "/var/lib/calico", "/etc/calico", "/run/calico")
        # It makes the node's object and the pool. It ends when another program changes the Node at the same time; a
        # kubelet would start it again.
        for step in (["-startup"], ["-allocate-tunnel-addrs", "-allocate-tunnel-addrs-run-once"]):
            wait_until(lambda s=step: node.run(*agent, *s, timeout=60, check=False).returncode == 0, 120,
                       f"{node.name}: calico-node {step[0]}", every=0.5)
        node.spawn("calico-tunnels", *agent, "-allocate-tunnel-addrs")
        node.spawn("calico-felix", *agent, "-felix")
        write_configuration(node, "10-calico.conflist", json.dumps({
            "cniVersion": "0.3.1", "name": "k8s-pod-network", "plugins": [
                {"type": "calico", "datastore_type": "kubernetes", "nodename": node.name, "mtu": MTU,
                 "log_level": "info", "log_file_path": "/run/calico/cni.log", "policy": {"type": "k8s"},
                 "ipam": {"type": "calico-ipam", "assign_ipv4": has_family(cluster.plane, 4),
                          "assign_ipv6": has_family(cluster.plane, 6)},
                 "kubernetes": {"kubeconfig": str(cluster.plane.admin)}},
                {"type": "portmap", "snat": True, "capabilities": {"portMappings": True}}]}))

    def _settings(self, plane):
        """The environment of calico-node, as its manifest has it."""
        settings = {"DATASTORE_TYPE": "kubernetes", "FELIX_DATASTORETYPE": "kubernetes", "CLUSTER_TYPE": "k8s",
                    "CALICO_NETWORKING_BACKEND": "vxlan", "CALICO_DISABLE_FILE_LOGGING": "true",
                    "IP_AUTODETECTION_METHOD": "interface=eth0", "IP6_AUTODETECTION_METHOD": "interface=eth0",
                    "IP": "none", "IP6": "none", "FELIX_IPV6SUPPORT": has_family(plane, 6),
                    "FELIX_IPTABLESBACKEND": "NFT", "FELIX_LOGSEVERITYSCREEN": "info",
                    "FELIX_DEFAULTENDPOINTTOHOSTACTION": "ACCEPT", "FELIX_USAGEREPORTINGENABLED": "false"}
        for cidr in plane.pod_cidrs:
            family, host_bits = (6, 128) if ":" in cidr else (4, 32)
            pool = f"CALICO_IPV{family}POOL_"
            settings |= {"IP6" if family == 6 else "IP": "autodetect", pool + "CIDR": cidr, pool + "VXLAN": "Always",
                         pool + "BLOCK_SIZE": host_bits - 32 + self.block_size, pool + "NAT_OUTGOING": "true"}
        return {"CALICO_IPV4POOL_IPIP": "Never", **settings}


def blocks_of(cluster):
    """node -> its confirmed blocks."""
    found = {node.name: set() for node in cluster.nodes}
    for item in cluster.get("blockaffinities.crd.projectcalico.org")["items"]:
        if item["spec"]["state"] == "confirmed":
            found[item["spec"]["node"]].add(item["spec"]["cidr"])
    return found
