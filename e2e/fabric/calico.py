"""A cluster whose pod network is Calico's in kernel state and objects: VXLAN mode, blocks of 64 addresses.

Nothing of Calico runs. Made by hand is what Calico v3.28 makes: BlockAffinities in the store, a /32 route per pod
to a `cali` device without an address, a blackhole route per own block, `vxlan.calico` with the first address of the
node's first block, masquerade of what leaves the pool, and a drop of what conntrack rejects. The nodes' podCIDRs
are what a controller manager hands out that Calico ignores.
"""

import ipaddress

from fabric.cluster import Cluster, Node

GATEWAY = "169.254.1.1"  # the next hop of every pod; the node answers ARP for it
BLOCK = 64


class CalicoPod:
    """A machine behind a `cali` device. `ip` is its address; the pool is IPv4."""

    ip6 = None

    def __init__(self, name, node, address):
        self.name, self.node, self.ip = name, node, str(address)
        cluster = node.cluster
        self.machine = cluster.world.machine(f"{cluster.id}-{name}", cluster.resolv_conf)
        node.made += 1
        self.port = port = f"cali{node.number}x{node.made}"
        cluster.world.link(self.machine, "eth0", node.machine, port)
        node.machine.sysctl(**{f"net__ipv4__conf__{port}__proxy_arp": 1})
        node.machine.ip(f"link set {port} up\nroute add {self.ip}/32 dev {port} scope link")
        self.machine.ip(f"addr add {self.ip}/32 dev eth0\nlink set eth0 up\n"
                        f"route add {GATEWAY} dev eth0 scope link\nroute add default via {GATEWAY}")

    def address(self, family=4):
        return self.ip if family == 4 else None

    def end(self):
        """The pod is gone, and its address is free again."""
        self.node.machine.ip(f"link del {self.port}")
        self.node.pods.remove(self)


class CalicoNode(Node):
    def __init__(self, cluster, name, number):
        self.blocks, self.used, self.made = [], 0, 0
        super().__init__(cluster, name, number)

    def _bring_up(self):
        self.machine.sysctl(net__ipv4__ip_forward=1)
        self.machine.ip(f"link set eth0 up\naddr add {self.ip}/24 dev eth0\n"
                        f"route add default via 172.20.{self.cluster.number}.1\n"
                        "link add vxlan.calico type vxlan id 4096 dstport 4789 dev eth0\nlink set vxlan.calico up")

    def take_block(self, state="confirmed"):
        """Takes one more block of the pool, as Calico's IPAM does when the node's blocks are full."""
        block = self.cluster.next_block()
        self.cluster.give_block(self, block, state)
        return block

    def add_block(self, block):
        if not self.blocks:
            self.machine.ip(f"addr add {block[0]}/32 dev vxlan.calico")
        self.blocks.append(block)
        self.used = 1  # the first address is the tunnel's, or stays free
        self.machine.run("ip", "route", "flush", "exact", str(block))  # the route to its last node
        self.machine.ip(f"route add blackhole {block}")
        for other in self.cluster.nodes:
            if other is not self:
                other.machine.ip(f"route replace {block} via {self.ip}")

    def give_back(self, block):
        """Gives an empty block back, as Calico's IPAM does: no pod has an address of it any more."""
        self.machine.ip(f"route del blackhole {block}")
        self.blocks.remove(block)
        self.cluster.store.remove("BlockAffinity", affinity(self.name, block)["metadata"]["name"])

    def borrow(self, name, lender):
        """A pod with an address of another node's block. Every other node has a /32 route to it, and the block's
        IPAMBlock says who has it."""
        block = lender.blocks[-1]
        address = block[lender.used]
        lender.used += 1
        pod = CalicoPod(name, self, address)
        self.cluster.store.put(ipam_block(lender.name, block, {address: self.name}))
        for other in self.cluster.nodes:
            if other is not self:
                other.machine.ip(f"route replace {address}/32 via {self.ip}")
        self.pods.append(pod)
        return pod

    def host_routes(self):
        """Routes to blocks are made with the blocks."""

    def pod(self, name):
        block = self.blocks[-1]
        pod = CalicoPod(name, self, block[self.used])
        self.used += 1
        self.pods.append(pod)
        return pod


class CalicoCluster(Cluster):
    node_class = CalicoNode

    def __init__(self, world, cluster_id, **options):
        self.taken = 0
        super().__init__(world, cluster_id, ipv6=False, **options)

    def next_block(self):
        """Blocks that cannot be summed up: Calico chooses them by a hash of the node's name."""
        self.taken += 1
        blocks = list(ipaddress.ip_network(self.pod_cidr).subnets(new_prefix=26))
        return blocks[self.taken * 37 % len(blocks)]

    def give_block(self, node, block, state="confirmed"):
        node.add_block(block)
        self.store.put(affinity(node.name, block, state))
        self.store.put(ipam_block(node.name, block))

    def write_objects(self):
        super().write_objects()
        self.store.put({"apiVersion": "crd.projectcalico.org/v1", "kind": "IPPool",
                        "metadata": {"name": "default-ipv4-ippool"},
                        "spec": {"allowedUses": ["Workload", "Tunnel"], "blockSize": 26, "cidr": self.pod_cidr,
                                 "ipipMode": "Never", "natOutgoing": True, "nodeSelector": "all()",
                                 "vxlanMode": "Always"}})
        self.store.put({"apiVersion": "crd.projectcalico.org/v1", "kind": "IPAMConfig",
                        "metadata": {"name": "default"},
                        "spec": {"autoAllocateBlocks": True, "strictAffinity": False}})
        for node in self.nodes:
            node.take_block()

    def node_cidrs(self, node):
        return [f"10.{200 + self.number}.{node.number}.0/24"]


def affinity(node, block, state="confirmed"):
    name = f"{node}-{str(block).replace('.', '-').replace('/', '-')}"
    return {"apiVersion": "crd.projectcalico.org/v1", "kind": "BlockAffinity", "metadata": {"name": name},
            "spec": {"cidr": str(block), "deleted": "false", "node": node, "state": state}}


def ipam_block(host, block, borrowed=None):
    """The addresses of a block that are in use: the first one is its node's own. `borrowed`: address -> node."""
    allocations, attributes = [None] * block.num_addresses, []
    for address, node in {block[0]: host, **(borrowed or {})}.items():
        allocations[int(address) - int(block[0])] = len(attributes)
        attributes.append({"handle_id": "k8s-pod-network.1",
                           "secondary": {"namespace": "default", "node": node, "pod": "p"}})
    return {"apiVersion": "crd.projectcalico.org/v1", "kind": "IPAMBlock",
            "metadata": {"name": str(block).replace(".", "-").replace("/", "-")},
            "spec": {"affinity": f"host:{host}", "allocations": allocations, "attributes": attributes,
                     "cidr": str(block), "deleted": False, "strictAffinity": False}}
