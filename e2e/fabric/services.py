"""Services of pods, and their export."""

from fabric import objects


def make_service(cluster, ns, name, ports, pods, headless=False):
    """A Service with its EndpointSlices, as Kubernetes' controllers would write them.

    `pods`: hostname -> Pod; all of them ready.
    """
    store = cluster.store
    if store.get("Namespace", ns) is None:
        store.put(objects.namespace(ns))
    families = ["IPv4"] + (["IPv6"] if cluster.ipv6 else [])
    for family, attribute in (("IPv4", "ip"), ("IPv6", "ip6")):
        if family in families:
            store.put(objects.endpoint_slice(
                ns, name, ports,
                [(getattr(pod, attribute), host, True) for host, pod in pods.items()], family))
    cluster_ip = "None" if headless else f"10.{60 + cluster.number}.0.10"
    store.put(objects.service(ns, name, ports, cluster_ip, families))


def export(cluster, ns, name):
    cluster.store.put(objects.service_export(ns, name))


def share(ns, name, *clusters):
    """Opens the name in each of the clusters: the peers' exports of it become one Service with the own export
    (ClusterPeer.spec.imports)."""
    rule = {"namespace": ns, "service": name, "overLocal": True}
    for cluster in clusters:
        for peer in cluster.store.list("ClusterPeer"):
            imports = peer["spec"].setdefault("imports", [{"namespace": "*", "service": "*"}])
            if rule not in imports:
                imports.append(rule)
                peer.pop("status", None)  # the store keeps the status that the gateways wrote
                cluster.store.put(peer)


def unexport(cluster, ns, name):
    cluster.store.remove("ServiceExport", name, ns)


def remove_service(cluster, ns, name):
    unexport(cluster, ns, name)
    cluster.store.remove("Service", name, ns)
    for family in ("ipv4", "ipv6"):
        cluster.store.remove("EndpointSlice", f"{name}-{family}", ns)
