"""kube-router: the bridge plugin, routes between the nodes by its own BGP, NetworkPolicies. Services stay
kube-proxy's."""

import json

from kube.cni.network import PodNetwork, has_family, programs, write_configuration

CONFIGURATION = "10-kuberouter.conflist"


class KubeRouter(PodNetwork):
    has_policies = True

    def start(self, cluster):
        cluster.wait_for_pod_cidrs()
        for node in cluster.nodes:
            # kube-router writes the node's prefix into it.
            write_configuration(node, CONFIGURATION, json.dumps({
                "cniVersion": "0.3.0", "name": "pods", "plugins": [
                    {"name": "kubernetes", "type": "bridge", "bridge": "kube-bridge", "isDefaultGateway": True,
                     "hairpinMode": True, "ipam": {"type": "host-local", "dataDir": "/run/cni-ipam"}},
                    {"type": "portmap", "capabilities": {"portMappings": True, "snat": True}}]}))
            node.spawn("kube-router", programs("kube-router") / "kube-router",
                       "--run-router=true", "--run-firewall=true", "--run-service-proxy=false",
                       "--run-loadbalancer=false", "--enable-overlay=false", "--bgp-graceful-restart=true",
                       f"--kubeconfig={cluster.plane.admin}", f"--hostname-override={node.name}",
                       *(f"--service-cluster-ip-range={cidr}" for cidr in cluster.plane.service_cidrs),
                       f"--enable-ipv4={has_family(cluster.plane, 4)}", f"--enable-ipv6={has_family(cluster.plane, 6)}",
                       "--health-port=20244", "-v=1",
                       env={"NODE_NAME": node.name, "KUBE_ROUTER_CNI_CONF_FILE": f"/etc/cni/net.d/{CONFIGURATION}"})
