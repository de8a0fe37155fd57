"""flannel: VXLAN between the nodes, prefixes from Node.spec.podCIDRs, its own masquerade rules. No NetworkPolicies."""

import json

from fabric.wait import wait_until
from kube.cni.network import PodNetwork, programs, write_configuration


class Flannel(PodNetwork):
    def start(self, cluster):
        cidrs = cluster.wait_for_pod_cidrs()
        for node in cluster.nodes:
            (node.home / "etc/net-conf.json").write_text(json.dumps(self._network(cluster.plane)))
            node.spawn("flanneld", programs("flannel") / "flanneld", "--kube-subnet-mgr", "--ip-masq", "--iface=eth0",
                       f"--kubeconfig-file={cluster.plane.admin}", f"--net-config-path={node.home}/etc/net-conf.json",
                       env={"NODE_NAME": node.name})
        for node in cluster.nodes:
            self._configure(node, cidrs[node.name], cluster.plane.pod_cidrs)

    @staticmethod
    def _network(plane):
        settings = {"Backend": {"Type": "vxlan"}, "EnableIPv4": False}
        for cidr in plane.pod_cidrs:
            settings |= {"EnableIPv6": True, "IPv6Network": cidr} if ":" in cidr else {
                "EnableIPv4": True, "Network": cidr}
        return settings

    @staticmethod
    def _configure(node, pod_cidrs, clusters_pods):
        """What flannel's own plugin, which Debian does not have, makes of /run/flannel/subnet.env."""
        def ready():
            return node.run("grep", "-oP", "FLANNEL_MTU=\\K.*", "/run/flannel/subnet.env", check=False).stdout
        mtu = wait_until(ready, 30, f"{node.name}: flannel has its subnet", every=0.2)
        write_configuration(node, "10-flannel.conflist", json.dumps({
            "cniVersion": "0.4.0", "name": "cbr0", "plugins": [
                {"type": "bridge", "bridge": "cni0", "isGateway": True, "isDefaultGateway": True,
                 "hairpinMode": True, "ipMasq": False, "mtu": int(mtu),
                 "ipam": {"type": "host-local", "ranges": [[{"subnet": cidr}] for cidr in pod_cidrs],
                          "routes": [{"dst": cidr} for cidr in clusters_pods], "dataDir": "/run/cni-ipam"}},
                {"type": "portmap", "capabilities": {"portMappings": True}}]}))
