"""Kernel state of other pod networks, by hand on the nodes of a cluster with a bridge.

Each network is what its programs leave in the kernel and what concerns packets of pods to remote clusters: policy
rules, tables, chains, sysctls. Names of chains and numbers are those of the real programs (Calico v3.28, flannel
v0.28, kube-router v2.1, Amazon VPC CNI v1.19, Cilium v1.18, OVN-Kubernetes of 2026). Their pods' devices and eBPF
programs are not here: pods stay behind the bridge cni0.
"""

import contextlib

MOVE_LOCAL = "ip rule add pref {0} lookup local && ip rule del pref 0; ip -6 rule add pref {0} lookup local && " \
             "ip -6 rule del pref 0"
LOCAL_BACK = "ip rule add pref 0 lookup local && ip rule del pref {0}; ip -6 rule add pref 0 lookup local && " \
             "ip -6 rule del pref {0}"


def nft(node, text):
    """Applies nft text with the names of the node's ranges filled in."""
    node.machine.run("nft", "-f", "-", stdin=text.replace("CLUSTER", node.cluster.pod_cidr)
                     .replace("OWN", node.pod_cidr).replace("NODE_IP", node.ip).replace("BRIDGE_IP", node.bridge_ip))


def drop_table(family, name):
    return lambda node: node.machine.sh(f"nft delete table {family} {name}")


def calico(node):
    """iptables data plane: natOutgoing, invalid packets of pods dropped, strict reverse path in raw."""
    nft(node, """table ip calico {
        chain cali-POSTROUTING { type nat hook postrouting priority srcnat + 10;
          ip saddr CLUSTER ip daddr != CLUSTER masquerade; }
        chain cali-FORWARD { type filter hook forward priority filter;
          iifname "cni0" ct state invalid drop; oifname "cni0" ct state invalid drop; }
        chain cali-PREROUTING { type filter hook prerouting priority raw;
          iifname "cni0" fib saddr . iif oif missing drop; }
        }""")


def flannel(node):
    """FLANNEL-POSTRTG with both masquerades: the second is for what comes from outside to other nodes' pods."""
    nft(node, """table ip flannel-ipv4 {
        chain postrtg { type nat hook postrouting priority srcnat;
          ip saddr CLUSTER ip daddr CLUSTER return
          ip saddr CLUSTER ip daddr != 224.0.0.0/4 masquerade
          ip saddr != CLUSTER ip daddr OWN return
          ip saddr != CLUSTER ip daddr CLUSTER masquerade; }
        }""")


def kube_proxy(node):
    """kube-proxy in iptables mode: KUBE-FORWARD drops invalid packets, KUBE-POSTROUTING goes by mark."""
    nft(node, """table ip kube-emulated {
        chain KUBE-FORWARD { type filter hook forward priority filter;
          ct state invalid drop
          meta mark & 0x4000 == 0x4000 accept
          ct state related,established accept; }
        chain KUBE-POSTROUTING { type nat hook postrouting priority srcnat;
          meta mark & 0x4000 != 0x4000 return
          meta mark set meta mark xor 0x4000
          masquerade fully-random; }
        }""")


def amazon(node):
    """Pods on a secondary interface: rules 512, 1024 and 1536, its table, AWS-SNAT-CHAIN, the local table at 20."""
    router = node.machine.out("ip", "-4", "route", "show", "default").split()[2]
    lines = [MOVE_LOCAL.format(20), f"ip route add default via {router} dev eth0 table 2",
             "ip rule add pref 1024 fwmark 0x80/0x80 lookup main"]
    for pod in node.pods:
        lines += [f"ip rule add pref 512 to {pod.ip} lookup main", f"ip rule add pref 1536 from {pod.ip} lookup 2"]
    node.machine.sh("\n".join(lines))
    nft(node, """table ip aws-emulated {
        chain AWS-CONNMARK { type filter hook prerouting priority mangle;
          iifname "cni0" meta mark set ct mark and 0x80; }
        chain AWS-SNAT-CHAIN-0 { type nat hook postrouting priority srcnat;
          ip saddr CLUSTER ip daddr != { CLUSTER, 172.20.0.0/16 } snat to NODE_IP fully-random; }
        }""")


def amazon_gone(node):
    node.machine.sh(f"{LOCAL_BACK.format(20)}\nnft delete table ip aws-emulated; ip route flush table 2\n"
                    "for p in 512 1024 1536; do while ip rule del pref $p 2>/dev/null; do :; done; done")


def cilium(node):
    """ENI mode with masquerade in iptables: rules 9, 10 and 111, the local table at 100, no reverse path check."""
    router = node.machine.out("ip", "-4", "route", "show", "default").split()[2]
    lines = [MOVE_LOCAL.format(100), "ip rule add pref 9 fwmark 0x200/0xf00 lookup 2004",
             "ip rule add pref 10 fwmark 0xa00/0xf00 lookup 2005", "ip route add local default dev lo table 2004",
             f"ip route add default via {router} dev eth0 table 2005",
             f"ip route add default via {router} dev eth0 table 11"]
    lines += [f"ip rule add pref 111 from {pod.ip} lookup 11" for pod in node.pods]
    node.machine.sh("\n".join(lines))
    node.machine.sysctl(net__ipv4__conf__all__rp_filter=0)
    nft(node, """table ip cilium-emulated {
        chain CILIUM_POST_nat { type nat hook postrouting priority srcnat;
          ip saddr OWN ip daddr != CLUSTER oifname != "cilium_*" masquerade; }
        }""")


def cilium_gone(node):
    node.machine.sh(f"{LOCAL_BACK.format(100)}\nnft delete table ip cilium-emulated\n"
                    "for t in 11 2004 2005; do ip route flush table $t; done\n"
                    "for p in 9 10 111; do while ip rule del pref $p 2>/dev/null; do :; done; done")


def kube_router(node):
    """A rule without a priority, and the second half of its masquerade."""
    node.machine.sh(f"ip route add {node.cluster.pod_cidr} dev cni0 table 77\n"
                    f"ip rule add from {node.pod_cidr} lookup 77")
    nft(node, """table ip kube-router-emulated {
        chain POSTROUTING { type nat hook postrouting priority srcnat;
          ip saddr CLUSTER ip daddr != { CLUSTER, 172.20.0.0/16 } masquerade fully-random; }
        }""")


def kube_router_gone(node):
    node.machine.sh(f"ip rule del from {node.pod_cidr} lookup 77; ip route flush table 77; "
                    "nft delete table ip kube-router-emulated")


def ovn(node):
    """Local gateway mode: what is sent to pods gets the address of the management port."""
    nft(node, """table inet ovn-kubernetes {
        chain mgmtport-snat { type nat hook postrouting priority srcnat;
          oifname "cni0" ip saddr != CLUSTER snat ip to BRIDGE_IP; }
        }""")


STRICT = ("all", "default", "eth0", "cni0")


def strict(node):
    """RHEL's defaults: a strict reverse path check on every device, ours included."""
    node.machine.sysctl(**{f"net__ipv4__conf__{device}__rp_filter": 1 for device in STRICT})
    node.machine.sh("for d in cw-vx cw-wg; do [ ! -e /proc/sys/net/ipv4/conf/$d ] || "
                    "echo 1 > /proc/sys/net/ipv4/conf/$d/rp_filter; done")


def strict_gone(node):
    node.machine.sysctl(**{f"net__ipv4__conf__{device}__rp_filter": 0 for device in STRICT})


# name -> (makes it on a node, takes it away)
NETWORKS = {
    "Calico's chains": (calico, drop_table("ip", "calico")),
    "flannel's masquerades": (flannel, drop_table("ip", "flannel-ipv4")),
    "kube-proxy in iptables mode": (kube_proxy, drop_table("ip", "kube-emulated")),
    "Amazon's rules": (amazon, amazon_gone),
    "Cilium's rules in ENI mode": (cilium, cilium_gone),
    "kube-router's rule": (kube_router, kube_router_gone),
    "OVN's management port": (ovn, drop_table("inet", "ovn-kubernetes")),
    "a strict reverse path check": (strict, strict_gone),
}


@contextlib.contextmanager
def beside(cluster, network):
    """The network's kernel state on all nodes of the cluster."""
    make, take_away = NETWORKS[network]
    with contextlib.ExitStack() as undo:
        for node in cluster.nodes:
            make(node)
            undo.callback(take_away, node)
        yield
