"""A whole cluster: a control plane and nodes on one underlay, CoreDNS in it, Helm at hand."""

import concurrent.futures
import subprocess
import textwrap

from fabric.machine import Machine
from fabric.wait import wait_until
from kube.cni.bridge import Bridge
from kube.control_plane import ControlPlane
from kube.node import Node
from kube.programs import program

# The underlay's third octet, and the clusters' own ranges.
NUMBERS = {"east": 1, "west": 2}


class Ranges:
    """The addresses of one cluster, of each of its families."""

    def __init__(self, number, families):
        self._number, self._families = number, families
        self.services = self._join(f"10.{90 + number}.0.0/16", f"fd00:{90 + number}::/112")
        self.pods = self._join(f"10.{240 + number}.0.0/16", f"fd00:{240 + number}::/56")

    def _join(self, *by_family):
        return ",".join(dict(zip((4, 6), by_family))[family] for family in self._families)

    def machine(self, host):
        return self._join(f"172.30.{self._number}.{host}", f"fd30::{self._number}:{host}").split(",")


COREDNS = """\
apiVersion: v1
kind: ServiceAccount
metadata: {{name: coredns, namespace: kube-system}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: system:coredns}}
rules:
  - {{apiGroups: [""], resources: [endpoints, services, pods, namespaces], verbs: [list, watch]}}
  - {{apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: system:coredns}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: system:coredns}}
subjects: [{{kind: ServiceAccount, name: coredns, namespace: kube-system}}]
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: coredns, namespace: kube-system}}
data:
  Corefile: |
    .:53 {{
        errors
        health {{
            lameduck 0s
        }}
        ready
        kubernetes cluster.local in-addr.arpa ip6.arpa {{
            ttl 5
        }}
        cache 5
        reload 2s 1s
        loadbalance
    }}
---
apiVersion: v1
kind: Service
metadata: {{name: kube-dns, namespace: kube-system}}
spec:
  clusterIP: {dns}
  selector: {{k8s-app: kube-dns}}
  ports:
    - {{name: dns, port: 53, protocol: UDP}}
    - {{name: dns-tcp, port: 53, protocol: TCP}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: coredns, namespace: kube-system}}
spec:
  replicas: 1
  selector: {{matchLabels: {{k8s-app: kube-dns}}}}
  template:
    metadata: {{labels: {{k8s-app: kube-dns}}}}
    spec:
      serviceAccountName: coredns
      dnsPolicy: Default
      terminationGracePeriodSeconds: 1
      containers:
        - name: coredns
          image: docker.io/library/coredns:e2e
          imagePullPolicy: Never
          args: [-conf, /etc/coredns/Corefile]
          volumeMounts: [{{name: config, mountPath: /etc/coredns}}]
          readinessProbe: {{httpGet: {{path: /ready, port: 8181}}, periodSeconds: 1}}
      volumes:
        - name: config
          configMap: {{name: coredns, items: [{{key: Corefile, path: Corefile}}]}}
"""


class Underlay:
    """The network that all machines of all clusters are on: one bridge, 172.30.0.0/16 or fd30::/64.
    A machine has one address of each of its cluster's families."""

    def __init__(self, folder):
        self.folder = folder
        self.machine = Machine("underlay", folder)
        self.machine.sh("ip link add br0 type bridge; ip link set br0 up; "
                        "ip addr add 172.30.0.1/16 dev br0; ip addr add fd30::1/64 dev br0 nodad; "
                        "echo 1 > /proc/sys/net/ipv4/ip_forward")
        self._count = 0

    def plug(self, machine, addresses):
        self._count += 1
        end = f"m{self._count}"
        subprocess.run(["ip", "link", "add", "name", "eth0", "netns", str(machine.pid), "type",
                        "veth", "peer", "name", end, "netns", str(self.machine.pid)], check=True)
        self.machine.sh(f"ip link set {end} master br0 up")
        machine.run("ip", "link", "set", "eth0", "up")
        for address in addresses:
            if ":" in address:
                machine.run("sh", "-ec", f"ip addr add {address}/64 dev eth0 nodad; ip route add default via fd30::1; "
                                         "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding")
            else:
                machine.run("sh", "-ec", f"ip addr add {address}/16 dev eth0; ip route add default via 172.30.0.1; "
                                         "echo 1 > /proc/sys/net/ipv4/ip_forward")
        machine.port = end

    def cut(self, machine):
        """Takes the cable out, as when a machine is lost. The processes on the machine go on."""
        self.machine.run("ip", "link", "set", machine.port, "down")

    def mend(self, machine):
        self.machine.run("ip", "link", "set", machine.port, "up")

    def remove(self):
        self.machine.remove()


class Cluster:
    def __init__(self, name, folder, underlay, images, nodes=2, families=(4,), network=None, proxy_mode="nftables"):
        """`families`: (6,) makes a cluster without any IPv4 address but loopback's. `network`: the pod network
        (cni/)."""
        self.name, self.folder, self.images = name, folder / name, images
        self.folder.mkdir(parents=True)
        self.underlay = underlay
        self.network, self.proxy_mode = network or Bridge(), proxy_mode
        self.plugins = self.network.plugins(self)
        self.number = NUMBERS[name]
        ranges = Ranges(self.number, families)
        self.machine = Machine(f"{name}-cp", self.folder)
        underlay.plug(self.machine, ranges.machine(10))
        self.plane = ControlPlane(name, self.folder, ranges.machine(10)[0], ranges.services, ranges.pods,
                                  self.machine)
        self.pki = self.plane.pki
        # Made here and not in start(), which may run in a thread of its own: a machine ends with the thread
        # that made it (PR_SET_PDEATHSIG).
        self.nodes = [self._node(f"{name}-n{i}", ranges.machine(10 + i))
                      for i in range(1, nodes + 1)]

    def _node(self, name, addresses):
        subject = f"/O=system:nodes/CN=system:node:{name}"
        self.pki.certificate(f"node-{name}", subject, "clientAuth")
        self.pki.certificate(f"kubelet-{name}", subject, "serverAuth",
                             names=",".join([f"DNS:{name}", *(f"IP:{a}" for a in addresses)]))
        node = Node(self, name, addresses, self.underlay.folder)
        self.underlay.plug(node, addresses)
        return node

    def start(self):
        self.plane.start(node_prefixes=self.network.node_prefixes)
        self.plane.kubectl("create", "clusterrolebinding", "apiserver-to-kubelet",
                           "--clusterrole=system:kubelet-api-admin",
                           "--user=kube-apiserver-kubelet-client")
        with concurrent.futures.ThreadPoolExecutor() as pool:
            for done in [pool.submit(node.start) for node in self.nodes]:
                done.result()
        wait_until(lambda: len(self.get("nodes")["items"]) == len(self.nodes), 60,
                   f"{self.name}: the nodes are registered", every=0.2)
        self.network.start(self)
        self.plane.kubectl("wait", "--for=condition=Ready", "node", "--all", "--timeout=90s",
                           timeout=100)
        self.plane.apply(COREDNS.format(dns=self.plane.service_address(10)))
        return self

    def pod_cidrs(self):
        items = self.plane.get("nodes")["items"]
        return {n["metadata"]["name"]: n["spec"]["podCIDRs"] for n in items
                if "podCIDRs" in n["spec"]}

    def wait_for_pod_cidrs(self):
        wait_until(lambda: len(self.pod_cidrs()) == len(self.nodes), 60,
                   f"{self.name}: every node has its pod prefix", every=0.2)
        return self.pod_cidrs()

    # --- for tests ---

    def kubectl(self, *args, **options):
        return self.plane.kubectl(*args, **options)

    def apply(self, text, *more):
        return self.plane.apply(textwrap.dedent(text), *more)

    def get(self, *args):
        return self.plane.get(*args)

    def exec(self, pod, command, namespace="demo", check=True, timeout=30):
        return self.kubectl("-n", namespace, "exec", pod, "--", "sh", "-c", command, check=check,
                            timeout=timeout)

    def helm(self, *args, timeout=300, check=True):
        return self.machine.run("env", f"HOME={self.folder}", program("helm"), "--kubeconfig",
                                self.plane.admin, *args, timeout=timeout, check=check)

    def remove(self):
        for node in self.nodes:
            node.remove()
        self.plane.remove()
