"""One cluster: an underlay with an edge router, gateway nodes and workers, pods, a CNI's rules.

Cluster number i has the underlay 172.20.i.0/24 and fd00:20:i::/64, and the pod network 10.(40+i).0.0/16 and
fd00:10:(40+i)::/48. Node n has 10.(40+i).n.0/24 and fd00:10:(40+i):n::/64 of it. The WAN has routes to
underlays only: without Causeway no pod reaches another cluster's pods.
"""

from fabric import objects
from fabric.store import DirectoryStore


class Pod:
    """A machine on its node's bridge. `ip` and `ip6` (None without IPv6) are its addresses."""

    def __init__(self, name, node, number):
        cluster = node.cluster
        self.name, self.node = name, node
        self.ip = f"10.{40 + cluster.number}.{node.number}.{number}"
        self.ip6 = (f"fd00:10:{40 + cluster.number}:{node.number}::{number:x}"
                    if cluster.ipv6 else None)
        world = cluster.world
        self.machine = world.machine(f"{cluster.id}-{name}", cluster.resolv_conf)
        port = f"p{number}"
        world.link(self.machine, "eth0", node.machine, port)
        node.machine.ip(f"link set {port} master cni0 up")
        lines = [f"addr add {self.ip}/24 dev eth0", "link set eth0 up",
                 f"route add default via {node.bridge_ip}"]
        if self.ip6:
            lines += [f"addr add {self.ip6}/64 dev eth0 nodad",
                      f"route add default via {node.bridge_ip6}"]
        self.machine.ip("\n".join(lines))

    def address(self, family=4):
        return self.ip if family == 4 else self.ip6


class Node:
    def __init__(self, cluster, name, number):
        self.cluster, self.name, self.number = cluster, name, number
        self.ip = f"172.20.{cluster.number}.{10 + number}"
        self.ip6 = f"fd00:20:{cluster.number}::{10 + number}" if cluster.ipv6 else None
        self.pod_cidr = f"10.{40 + cluster.number}.{number}.0/24"
        self.pod_cidr6 = f"fd00:10:{40 + cluster.number}:{number}::/64" if cluster.ipv6 else None
        self.bridge_ip = f"10.{40 + cluster.number}.{number}.1"
        self.bridge_ip6 = f"fd00:10:{40 + cluster.number}:{number}::1" if cluster.ipv6 else None
        self.pods = []
        # The node's InternalIPs, the first one for the overlay.
        self.addresses = [self.ip] + ([self.ip6] if self.ip6 else [])
        if cluster.underlay == 6:
            self.addresses.reverse()
        self.resolv_conf = cluster.folder / f"{name}.resolv.conf"
        self.resolv_conf.write_text("options timeout:1 attempts:1\n")
        self.machine = cluster.world.machine(name, self.resolv_conf)
        self.port = f"n{number}"
        cluster.world.link(self.machine, "eth0", cluster.edge, self.port, cluster.mtu)
        cluster.edge.ip(f"link set {self.port} master br0 up")
        self._bring_up()

    def _bring_up(self):
        self.machine.sysctl(net__ipv4__ip_forward=1, net__ipv6__conf__all__forwarding=1)
        number = self.cluster.number
        lines = ["link add cni0 type bridge", "link set cni0 up", "link set eth0 up",
                 f"addr add {self.bridge_ip}/24 dev cni0", f"addr add {self.ip}/24 dev eth0",
                 f"route add default via 172.20.{number}.1"]
        if self.ip6:
            lines += [f"addr add {self.bridge_ip6}/64 dev cni0 nodad",
                      f"addr add {self.ip6}/64 dev eth0 nodad",
                      f"route add default via fd00:20:{number}::1"]
        self.machine.ip("\n".join(lines))

    def host_routes(self):
        """Routes to the other nodes' pods over the underlay, as simple CNIs make them."""
        lines = []
        for other in self.cluster.nodes:
            if other is self:
                continue
            lines.append(f"route replace {other.pod_cidr} via {other.ip}")
            if self.ip6:
                lines.append(f"route replace {other.pod_cidr6} via {other.ip6}")
        self.machine.ip("\n".join(lines))

    def cni_rules(self, flavour):
        """The rules of a CNI and kube-proxy: masquerade packets that leave, drop packets that conntrack
        rejects."""
        families = [("iptables", self.cluster.pod_cidr)]
        if self.cluster.ipv6:
            families.append(("ip6tables", self.cluster.pod_cidr6))
        for program, cidr in families:
            run = f"{program}-{flavour}"
            self.machine.sh(f"{run} -t nat -A POSTROUTING -s {cidr} ! -d {cidr} -j MASQUERADE; "
                            f"{run} -A FORWARD -m conntrack --ctstate INVALID -j DROP")

    def pod(self, name):
        pod = Pod(name, self, len(self.pods) + 2)
        self.pods.append(pod)
        return pod

    def cut(self):
        """The underlay no longer forwards packets from or to the node; the node sees no sign of it."""
        self.cluster.edge.run("bridge", "link", "set", "dev", self.port, "state", "0")

    def mend(self):
        self.cluster.edge.run("bridge", "link", "set", "dev", self.port, "state", "3")


class Cluster:
    node_class = Node

    def __init__(self, world, cluster_id, gateways=2, workers=1, nat=False, ipv6=True,
                 iptables="nft", mtu=1500, underlay=4):
        """`nat`: the underlay hides behind one address and is unreachable from outside. `underlay`:
        the family of the nodes' first InternalIP."""
        self.world, self.id, self.nat, self.ipv6, self.mtu = world, cluster_id, nat, ipv6, mtu
        self.underlay = underlay
        self.number = len(world.clusters) + 1
        self.pod_cidr = f"10.{40 + self.number}.0.0/16"
        self.pod_cidr6 = f"fd00:10:{40 + self.number}::/48" if ipv6 else None
        self.folder = world.folder / cluster_id
        self.folder.mkdir()
        self.resolv_conf = self.folder / "resolv.conf"
        self.resolv_conf.write_text("options timeout:1 attempts:3\n")
        self.store = DirectoryStore(self.folder / "store")
        self.edge = world.machine(f"{cluster_id}-edge")
        self._bring_up_edge()
        self.nodes = [self.node_class(self, f"{cluster_id}-gateway-{n}", 1 + n)
                      for n in range(gateways)]
        self.nodes += [self.node_class(self, f"{cluster_id}-worker-{n}", 1 + gateways + n)
                       for n in range(workers)]
        self.gateway_nodes = self.nodes[:gateways]
        self.workers = self.nodes[gateways:]
        for node in self.nodes:
            node.host_routes()
            node.cni_rules(iptables)
        world.clusters[cluster_id] = self
        self.write_objects()

    @property
    def pod_cidrs(self):
        return [self.pod_cidr] + ([self.pod_cidr6] if self.ipv6 else [])

    def _bring_up_edge(self):
        i, world, edge = self.number, self.world, self.edge
        world.link(edge, "wan", world.wan, self.id[:12])
        edge.sysctl(net__ipv4__ip_forward=1, net__ipv6__conf__all__forwarding=1)
        edge.ip(f"link add br0 type bridge\nlink set br0 up\nlink set wan up\n"
                f"addr add 172.20.{i}.1/24 dev br0\naddr add fd00:20:{i}::1/64 dev br0 nodad\n"
                f"addr add 192.0.2.{4 * i + 1}/30 dev wan\n"
                f"addr add fd00:ff:{i}::1/64 dev wan nodad\n"
                f"route add default via 192.0.2.{4 * i + 2}\n"
                f"route add default via fd00:ff:{i}::2")
        port = self.id[:12]
        lines = [f"link set {port} up", f"addr add 192.0.2.{4 * i + 2}/30 dev {port}",
                 f"addr add fd00:ff:{i}::2/64 dev {port} nodad"]
        if not self.nat:
            lines += [f"route add 172.20.{i}.0/24 via 192.0.2.{4 * i + 1}",
                      f"route add fd00:20:{i}::/64 via fd00:ff:{i}::1"]
        world.wan.ip("\n".join(lines))
        if self.nat:
            edge.run("nft", "-f", "-", stdin="""
                table inet edge {
                  chain out { type nat hook postrouting priority srcnat; oifname wan masquerade; }
                  chain in { type filter hook forward priority filter;
                    iifname wan ct state established,related accept
                    iifname wan drop
                  }
                }""")

    def write_objects(self):
        self.store.put(objects.cluster_property("cluster.clusterset.k8s.io", self.id))
        # Namespace sameness (KEP-1645): a cluster imports only into namespaces that it has.
        for name in ("default", "causeway-system", "shop", "data", "bench"):
            self.store.put(objects.namespace(name))
        for node in self.nodes:
            self.write_node(node)

    def write_node(self, node):
        self.store.put(objects.node(node.name, node.addresses, self.node_cidrs(node)))

    def node_cidrs(self, node):
        """Node.spec.podCIDRs."""
        return [node.pod_cidr] + ([node.pod_cidr6] if self.ipv6 else [])

    def use_dns(self, *servers):
        """Points the pods' resolv.conf at the servers (written in place: it is bind-mounted)."""
        lines = [f"nameserver {server}" for server in servers]
        self.resolv_conf.write_text("\n".join(lines + ["options timeout:1 attempts:3"]) + "\n")
