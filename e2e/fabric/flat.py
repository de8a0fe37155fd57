"""A cluster whose pods have addresses of one range, and no node has a part of it, as in Amazon's and Azure's networks.

Made by hand is what such networks make: a /32 route per pod on its node, to a device without an address, and an
underlay (here the edge router) that knows the node of every single address. Nodes send what is no pod of their own
to the underlay. Their source and destination check is off. No object says where pods are but causeway-prefixes.
"""

from fabric import objects
from fabric.cluster import Cluster, Node

GATEWAY, GATEWAY6 = "169.254.1.1", "fe80::a"  # the next hop of every pod


class FlatPod:
    """A machine behind an `eni` device of its node. The n-th pod of the cluster has the n-th address."""

    def __init__(self, name, node):
        cluster = node.cluster
        self.name, self.node = name, node
        self.ip, self.ip6 = cluster.next_addresses()
        world, port = cluster.world, f"eni{node.number}x{len(node.pods)}"
        self.machine = world.machine(f"{cluster.id}-{name}", cluster.resolv_conf)
        world.link(self.machine, "eth0", node.machine, port)
        node.machine.sysctl(**{f"net__ipv4__conf__{port}__proxy_arp": 1})
        node.machine.ip(f"link set {port} up\nroute add {self.ip}/32 dev {port} scope link")
        self.machine.ip(f"addr add {self.ip}/32 dev eth0\nlink set eth0 up\n"
                        f"route add {GATEWAY} dev eth0 scope link\nroute add default via {GATEWAY}")
        cluster.edge.ip(f"route add {self.ip}/32 via {node.ip}")
        if self.ip6:
            node.machine.ip(f"addr add {GATEWAY6}/64 dev {port} nodad\nroute add {self.ip6}/128 dev {port}")
            self.machine.ip(f"addr add {self.ip6}/128 dev eth0 nodad\n"
                            f"route add default via {GATEWAY6} dev eth0")
            cluster.edge.ip(f"route add {self.ip6}/128 via {node.ip6}")

    def address(self, family=4):
        return self.ip if family == 4 else self.ip6


class FlatNode(Node):
    def _bring_up(self):
        cluster = self.cluster
        self.machine.sysctl(net__ipv4__ip_forward=1, net__ipv6__conf__all__forwarding=1)
        self.machine.ip(f"link set eth0 up\naddr add {self.ip}/24 dev eth0\n"
                        f"route add default via 172.20.{cluster.number}.1")
        if self.ip6:
            self.machine.ip(f"addr add {self.ip6}/64 dev eth0 nodad\n"
                            f"route add default via fd00:20:{cluster.number}::1")

    def host_routes(self):
        """Other nodes' pods are the underlay's matter."""

    def pod(self, name):
        pod = FlatPod(name, self)
        self.pods.append(pod)
        return pod


class FlatCluster(Cluster):
    node_class = FlatNode

    def __init__(self, world, cluster_id, **options):
        self.given = 0
        super().__init__(world, cluster_id, **options)

    def _bring_up_edge(self):
        super()._bring_up_edge()
        # It sends packets back to the network that they came from, and must not tell hosts of shorter ways.
        self.edge.sysctl(net__ipv4__conf__all__send_redirects=0, net__ipv4__conf__br0__send_redirects=0)
        # An address that no pod has is not sent to the WAN.
        self.edge.ip("\n".join(f"route add unreachable {cidr}" for cidr in self.pod_cidrs))

    def next_addresses(self):
        """Addresses one after the other, whichever node asks."""
        self.given += 1
        return (f"10.{40 + self.number}.7.{self.given}",
                f"fd00:10:{40 + self.number}::7:{self.given:x}" if self.ipv6 else None)

    def write_objects(self):
        super().write_objects()
        self.store.put(objects.config_map("causeway-system", "causeway-prefixes",
                                          {"source": "cluster", "ranges": " ".join(self.pod_cidrs)}))

    def node_cidrs(self, node):
        return []

    def add_node(self, name):
        """One more worker, after the start."""
        node = self.node_class(self, f"{self.id}-{name}", 1 + len(self.nodes))
        node.cni_rules("nft")
        self.nodes.append(node)
        self.workers.append(node)
        addresses = [node.ip] + ([node.ip6] if self.ipv6 else [])
        self.store.put(objects.node(node.name, addresses, []))
        return node
