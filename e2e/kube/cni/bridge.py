"""The reference plugins bridge and host-local, with static routes between the nodes, as kind has it."""

import json

from kube.cni.network import PodNetwork, write_configuration


class Bridge(PodNetwork):
    def start(self, cluster):
        cidrs = cluster.wait_for_pod_cidrs()
        for node in cluster.nodes:
            configure(node, cidrs[node.name], cluster.plane.pod_cidrs)
            for other in [*cluster.nodes, cluster.machine]:
                if other is not node:
                    for cidr, address in zip(cidrs[node.name], node.addresses):
                        other.run("ip", "route", "replace", cidr, "via", address)


def configure(node, pod_cidrs, clusters_pods):
    """Packets that leave the cluster's pods are masqueraded, as usual pod networks do it."""
    write_configuration(node, "10-pods.conflist", json.dumps({
        "cniVersion": "0.4.0", "name": "pods", "plugins": [
            {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": False, "hairpinMode": True, "mtu": 1450,
             "ipam": {"type": "host-local", "ranges": [[{"subnet": cidr}] for cidr in pod_cidrs],
                      "routes": [{"dst": "::/0" if ":" in cidr else "0.0.0.0/0"} for cidr in pod_cidrs],
                      "dataDir": "/run/cni-ipam"}},
            {"type": "portmap", "capabilities": {"portMappings": True}}]}))
    for cidr, all_pods in zip(pod_cidrs, clusters_pods):
        node.run("ip6tables" if ":" in cidr else "iptables", "-w", "-t", "nat", "-A", "POSTROUTING", "-s", cidr,
                 "!", "-d", all_pods, "-j", "MASQUERADE")
