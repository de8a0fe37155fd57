"""A cluster whose nodes have no IPv4 address outside: gateways and the overlay use IPv6 only. Pods have both
families. Pods' IPv4 packets between nodes go to IPv6 next hops."""

from fabric.cluster import Cluster, Node


class SixOnlyNode(Node):
    def _bring_up(self):
        super()._bring_up()
        self.machine.ip(f"addr del {self.ip}/24 dev eth0\n"
                        f"route replace default via inet6 fd00:20:{self.cluster.number}::1")
        self.addresses = [self.ip6]

    def host_routes(self):
        self.machine.ip("\n".join(f"route replace {cidr} via inet6 {other.ip6}" for other in self.cluster.nodes
                                  if other is not self for cidr in (other.pod_cidr, other.pod_cidr6)))


class SixOnlyCluster(Cluster):
    node_class = SixOnlyNode
