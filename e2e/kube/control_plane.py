"""One cluster's control plane in a machine: etcd, kube-apiserver and, if there are nodes,
kube-controller-manager and kube-scheduler. TLS, RBAC and the Node authorizer are on."""

import ipaddress
import json
import os
import subprocess
import time

from fabric.machine import Machine
from fabric.wait import wait_until
from kube.pki import Pki
from kube.programs import program


class Refused(AssertionError):
    """kubectl ended with an error."""


class ControlPlane:
    def __init__(self, name, folder, address="127.0.0.1", service_cidr="10.96.0.0/16",
                 pod_cidr="10.244.0.0/16", machine=None):
        """It runs on `machine` with `address`. Without one it gets a machine of its own, with loopback only. A range
        of both families is written as Kubernetes has it: "10.96.0.0/16,fd00:96::/112"."""
        self.name, self.folder, self.address = name, folder, address
        self.service_cidrs, self.pod_cidrs = service_cidr.split(","), pod_cidr.split(",")
        self.service_cidr, self.pod_cidr = self.service_cidrs[0], self.pod_cidrs[0]
        self.folder.mkdir(parents=True, exist_ok=True)
        self.machine = machine or Machine(f"{name}-cp", self.folder)
        self.pki = self._make_pki()
        self.admin = self.pki.kubeconfig("admin")
        self.processes = {}
        self.starts = []  # of the API server: times of start and readiness, in seconds since 1970

    def service_address(self, host):
        return str(ipaddress.ip_network(self.service_cidr)[host])

    def _make_pki(self):
        pki = Pki(self.folder / "pki", self.name, f"https://{in_url(self.address)}:6443")
        names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc",
                 "kubernetes.default.svc.cluster.local", "localhost"]
        addresses = {"127.0.0.1", self.address, self.service_address(1)}
        pki.certificate("apiserver", "/CN=kube-apiserver", "serverAuth",
                        names=",".join([f"DNS:{n}" for n in names]
                                       + [f"IP:{a}" for a in sorted(addresses)]))
        pki.certificate("front-proxy-client", "/CN=front-proxy-client", "clientAuth",
                        ca="front-proxy-ca")
        for name, subject in (("admin", "/O=system:masters/CN=admin"),
                              ("apiserver-kubelet-client", "/CN=kube-apiserver-kubelet-client"),
                              ("kcm", "/CN=system:kube-controller-manager"),
                              ("scheduler", "/CN=system:kube-scheduler"),
                              ("kube-proxy", "/CN=system:kube-proxy")):
            pki.certificate(name, subject, "clientAuth")
        return pki

    # --- processes ---

    def start_etcd(self):
        self.processes["etcd"] = self.machine.spawn(
            "etcd", "etcd", "--name", self.name, "--data-dir", self.folder / "etcd",
            "--listen-client-urls", "http://127.0.0.1:2379",
            "--advertise-client-urls", "http://127.0.0.1:2379",
            "--listen-peer-urls", "http://127.0.0.1:2380",
            "--initial-advertise-peer-urls", "http://127.0.0.1:2380",
            "--initial-cluster", f"{self.name}=http://127.0.0.1:2380", "--unsafe-no-fsync",
            "--quota-backend-bytes", str(1 << 30))

    def start_api(self, *more):
        p = self.pki.path
        self._starting = time.time()
        self.processes["api"] = self.machine.spawn(
            "kube-apiserver", program("kube-apiserver"),
            "--etcd-servers=http://127.0.0.1:2379",
            f"--advertise-address={self._advertised()}", "--bind-address=::",
            "--secure-port=6443", f"--tls-cert-file={p('apiserver.crt')}",
            f"--tls-private-key-file={p('apiserver.key')}", f"--client-ca-file={p('ca.crt')}",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={p('sa.pub')}",
            f"--service-account-signing-key-file={p('sa.key')}",
            "--service-account-extend-token-expiration=false",
            f"--service-cluster-ip-range={','.join(self.service_cidrs)}",
            "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            f"--kubelet-client-certificate={p('apiserver-kubelet-client.crt')}",
            f"--kubelet-client-key={p('apiserver-kubelet-client.key')}",
            f"--kubelet-certificate-authority={p('ca.crt')}",
            f"--requestheader-client-ca-file={p('front-proxy-ca.crt')}",
            "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-username-headers=X-Remote-User",
            f"--proxy-client-cert-file={p('front-proxy-client.crt')}",
            f"--proxy-client-key-file={p('front-proxy-client.key')}",
            "--enable-aggregator-routing=true",
            "--kubelet-preferred-address-types=InternalIP", "--shutdown-delay-duration=0s",
            *more)

    def _advertised(self):
        # A loopback address cannot be advertised. No client uses the advertised one.
        return "192.0.2.1" if self.address.startswith("127.") else self.address

    def start_controllers(self, node_prefixes=True):
        """`node_prefixes`: the controller manager gives every Node a podCIDR."""
        p = self.pki.path
        prefixes = ["--allocate-node-cidrs=false"]
        if node_prefixes:
            # Every node gets a /24 and a /64.
            prefixes = ["--allocate-node-cidrs=true", f"--cluster-cidr={','.join(self.pod_cidrs)}"]
        self.processes["kcm"] = self.machine.spawn(
            "kube-controller-manager", program("kube-controller-manager"),
            *self._as("kcm"), f"--service-account-private-key-file={p('sa.key')}",
            f"--root-ca-file={p('ca.crt')}", "--use-service-account-credentials=true",
            "--leader-elect=false", *prefixes,
            f"--service-cluster-ip-range={','.join(self.service_cidrs)}", f"--cluster-name={self.name}",
            f"--cluster-signing-cert-file={p('ca.crt')}",
            f"--cluster-signing-key-file={p('ca.key')}", "--bind-address=127.0.0.1",
            "--node-monitor-period=2s", "--node-monitor-grace-period=20s",
            "--concurrent-gc-syncs=5", "--kube-api-qps=100", "--kube-api-burst=200")
        self.processes["scheduler"] = self.machine.spawn(
            "kube-scheduler", program("kube-scheduler"), *self._as("scheduler"),
            "--leader-elect=false", "--bind-address=127.0.0.1")

    def _as(self, who):
        config = self.pki.kubeconfig(who)
        return [f"--kubeconfig={config}", f"--authentication-kubeconfig={config}",
                f"--authorization-kubeconfig={config}"]

    def start(self, controllers=True, node_prefixes=True):
        self.start_etcd()
        self.start_api()
        self.wait_ready()
        if controllers:
            self.start_controllers(node_prefixes)
        return self

    def wait_ready(self, deadline=60):
        wait_until(self.is_ready, deadline, f"{self.name}: the API server is ready", every=0.1)
        self.starts.append((self._starting, time.time()))

    def is_ready(self):
        if not self.processes["api"].alive():
            raise AssertionError(f"{self.name}: kube-apiserver ended:\n"
                                 + self.processes["api"].output()[-2000:])
        return self.kubectl("get", "--raw", "/readyz", check=False).returncode == 0

    def stop_api(self):
        """Stops the API server only; etcd keeps its data."""
        self.processes["api"].kill()

    def stop(self):
        for name in ("scheduler", "kcm", "api", "etcd"):
            if name in self.processes and self.processes[name].alive():
                self.processes[name].kill()

    # --- for tests ---

    def kubectl(self, *args, check=True, stdin=None, timeout=60, config=None):
        # A cache of its own: the usual one goes by the server's address, and would have the kinds of an earlier run.
        done = self.machine.run(program("kubectl"), "--kubeconfig", config or self.admin,
                                "--cache-dir", self.folder / "kubectl-cache", *args,
                                check=False, stdin=stdin, timeout=timeout)
        if check and done.returncode != 0:
            shown = " ".join(str(a) for a in args)
            raise Refused(f"{self.name}: kubectl {shown}: {done.stdout}{done.stderr}")
        return done

    def apply(self, text, *more):
        return self.kubectl("apply", *more, "-f", "-", stdin=text).stdout

    def get(self, *args):
        """The object or list, as Python values."""
        return json.loads(self.kubectl("get", *args, "-o", "json").stdout)

    def token(self, namespace, account, seconds=3600):
        return self.kubectl("-n", namespace, "create", "token", account,
                            f"--duration={seconds}s").stdout.strip()

    def run(self, *command, env=None, **options):
        """Runs one of our programs beside the API server, for example a test binary."""
        return self.machine.run("env", *[f"{k}={v}" for k, v in (env or {}).items()], *command,
                                **options)

    def remove(self):
        self.stop()
        self.machine.remove()


def in_url(address):
    return f"[{address}]" if ":" in address else address


def wait_for_crds(plane):
    plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")


def kill_quietly(pid):
    try:
        os.kill(pid, 9)
    except ProcessLookupError:
        pass


def quietly(*command):
    subprocess.run(command, check=False, capture_output=True, timeout=60)
