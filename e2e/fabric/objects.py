"""Kubernetes objects as the directory store holds them, as plain dictionaries."""


def cluster_property(name, value):
    return {"apiVersion": "about.k8s.io/v1beta1", "kind": "ClusterProperty",
            "metadata": {"name": name}, "spec": {"value": value}}


def namespace(name):
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def node(name, addresses, pod_cidrs):
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name},
            "spec": {"podCIDR": pod_cidrs[0], "podCIDRs": pod_cidrs} if pod_cidrs else {},
            "status": {"addresses": [{"type": "InternalIP", "address": a} for a in addresses],
                       "conditions": [{"type": "Ready", "status": "True"}]}}


def config_map(ns, name, data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": ns, "name": name}, "data": data}


def service(ns, name, ports, cluster_ip, families=("IPv4",)):
    """`ports`: name -> number. cluster_ip "None" makes it headless."""
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": ns, "name": name},
            "spec": {"type": "ClusterIP", "clusterIP": cluster_ip, "clusterIPs": [cluster_ip],
                     "ipFamilies": list(families),
                     "ports": [{"name": port, "protocol": "TCP", "port": number,
                                "targetPort": number} for port, number in ports.items()]}}


def endpoint_slice(ns, service_name, ports, endpoints, family="IPv4"):
    """`endpoints`: list of (address, hostname, ready)."""
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"namespace": ns, "name": f"{service_name}-{family.lower()}",
                         "labels": {"kubernetes.io/service-name": service_name}},
            "addressType": family,
            "ports": [{"name": port, "protocol": "TCP", "port": number}
                      for port, number in ports.items()],
            "endpoints": [{"addresses": [address], "hostname": hostname,
                           "conditions": {"ready": ready}}
                          for address, hostname, ready in endpoints]}


def service_export(ns, name):
    return {"apiVersion": "multicluster.x-k8s.io/v1beta1", "kind": "ServiceExport",
            "metadata": {"namespace": ns, "name": name}}


def cluster_peer(cluster_id, gateways, allowed_cidrs):
    """`gateways`: list of (ordinal, public key, endpoints)."""
    return {"apiVersion": "causeway.dev/v1alpha1", "kind": "ClusterPeer",
            "metadata": {"name": cluster_id},
            "spec": {"clusterId": cluster_id, "allowedCidrs": list(allowed_cidrs),
                     "gateways": [{"ordinal": ordinal, "publicKey": key,
                                   "endpoints": list(endpoints)}
                                  for ordinal, key, endpoints in gateways]}}
