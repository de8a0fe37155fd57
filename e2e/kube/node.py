"""One node in namespaces of its own: containerd, runc, kubelet and kube-proxy, on an overlay of this
machine's root. e2e/README.md lists the differences from a real machine."""

import os
import pathlib
import subprocess

from fabric.machine import Failed, Machine
from fabric.process import child_of
from kube.programs import folder as programs

CONTROLLERS = "cpu cpuacct cpuset memory devices freezer blkio pids systemd".split()
CGROUPS = pathlib.Path("/sys/fs/cgroup")
TREE = "causeway-kube"

# Runs as PID 1: builds the node's root, then only reaps. $1: its folder, $2: name, $3: run folder.
HOLDER = r"""
set -e
S=$1
mount -t tmpfs -o size=256m tmpfs $S/newroot
mkdir $S/newroot/upper $S/newroot/work $S/newroot/root
R=$S/newroot/root
mount -t overlay overlay -o lowerdir=/,upperdir=$S/newroot/upper,workdir=$S/newroot/work $R
mount -t proc proc $R/proc
mount -t sysfs sysfs $R/sys
mount -t tmpfs -o mode=755 tmpfs $R/sys/fs/cgroup
for c in cpu cpuacct cpuset memory devices freezer blkio pids; do
  mkdir $R/sys/fs/cgroup/$c; mount -t cgroup -o $c cgroup $R/sys/fs/cgroup/$c
done
mkdir $R/sys/fs/cgroup/systemd; mount -t cgroup -o none,name=systemd cgroup $R/sys/fs/cgroup/systemd
mount --rbind /dev $R/dev
mount -t tmpfs -o mode=755 tmpfs $R/run
mount -t tmpfs tmpfs $R/tmp
mkdir -p $R/run/netns $R/run/lock $R/var/lib/containerd $R/var/lib/kubelet $R/etc/cni/net.d $R/var/log
mkdir -p $R/dev/net
# The kubelet sets these for the whole machine; it gets files of its own instead.
for f in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops \
    kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
  t=$S/newroot/sysctl.${f##*/}; cat /proc/sys/$f > $t; mount --bind $t $R/proc/sys/$f
done
mkdir -p $R$3
mount --bind $3 $R$3
mount --bind $S/containerd $R/var/lib/containerd
mount --bind $S/kubelet $R/var/lib/kubelet
mount --bind $S/log $R/var/log
mount --bind $S/cni $R/etc/cni/net.d
: > $S/etc/resolv.conf
mount --bind $S/etc/resolv.conf $R/etc/resolv.conf
mkdir $R/.old
pivot_root $R $R/.old
cd /
umount -l /.old
mount --make-rshared /
hostname $2
ip link set lo up
echo ready
exec >/dev/null 2>&1 </dev/null
while :; do sleep 3600 & wait; done
"""

CONTAINERD = """\
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "registry.k8s.io/pause:3.10"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "/etc/cni/net.d"
"""

KUBELET = """\
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: "::"
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0
authentication:
  anonymous: {{enabled: false}}
  webhook: {{enabled: true}}
  x509: {{clientCAFile: {ca}}}
authorization: {{mode: Webhook}}
tlsCertFile: {serving}.crt
tlsPrivateKeyFile: {serving}.key
clusterDNS: [{dns}]
clusterDomain: cluster.local
resolvConf: {folder}/etc/resolv.conf
nodeStatusUpdateFrequency: 4s
nodeLeaseDurationSeconds: 20
syncFrequency: 5s
evictionHard: {{memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}}
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
shutdownGracePeriod: 0s
"""

PROXY = """\
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {{kubeconfig: {kubeconfig}}}
hostnameOverride: {name}
oomScoreAdj: 0
mode: {mode}
clusterCIDR: {pods}
conntrack: {{maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}}
metricsBindAddress: 127.0.0.1:10249
healthzBindAddress: 127.0.0.1:10256
nftables: {{minSyncPeriod: 100ms}}
"""


def cgroup_folders(name):
    return [CGROUPS / c / TREE / name for c in CONTROLLERS if (CGROUPS / c).is_dir()]


def make_cgroups(name):
    """One sub-tree per controller. The cgroup namespace that is made below turns it into the node's root."""
    for leaf in cgroup_folders(name):
        leaf.mkdir(parents=True, exist_ok=True)
        if leaf.parent.parent.name == "cpuset":
            for folder in (leaf.parent, leaf):
                for entry in ("cpuset.cpus", "cpuset.mems"):
                    value = (CGROUPS / "cpuset" / entry).read_text()
                    (folder / entry).write_text(value)


def remove_cgroups(name):
    for leaf in cgroup_folders(name):
        for folder, _, _ in os.walk(leaf, topdown=False):
            try:
                os.rmdir(folder)
            except OSError:
                pass


class Node(Machine):
    def __init__(self, cluster, name, addresses, run_folder):
        self.name, self.cluster, self.addresses = name, cluster, addresses
        self.processes = []
        self.run_folder = pathlib.Path(run_folder)
        self.home = cluster.folder / name
        self.folder = self.home / "log"
        for part in ("containerd", "kubelet", "log", "newroot", "etc", "cni"):
            (self.home / part).mkdir(parents=True, exist_ok=True)
        self._holder = None
        self.boot()

    def boot(self):
        """Makes the namespaces, with only the root file system in them."""
        remove_cgroups(self.name)
        make_cgroups(self.name)
        enter = "; ".join(f"echo $$ > {leaf}/cgroup.procs" for leaf in cgroup_folders(self.name))
        self._holder = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "bash", "-c", enter + '; exec "$@"', "sh",
             "setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--mount", "--pid", "--uts",
             "--ipc", "--cgroup", "--fork", "--kill-child", "--propagation", "private", "bash",
             "-c", HOLDER, "node", str(self.home), self.name, str(self.run_folder)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=open(self.folder / "init.log", "ab"), text=True, start_new_session=True)
        if self._holder.stdout.readline().strip() != "ready":
            raise Failed(f"node {self.name} did not start: "
                         + (self.folder / "init.log").read_text()[-500:])
        self.pid = child_of(self._holder.pid)

    def _enter(self, command, tied):
        enter = super()._enter(command, tied)
        enter.insert(1, "--cgroup")
        return enter

    def start(self):
        """Starts containerd with the images of the cluster, then the kubelet and kube-proxy."""
        pki, plane = self.cluster.pki, self.cluster.plane
        (self.home / "etc/containerd.toml").write_text(
            CONTAINERD.format(plugins=self.cluster.plugins))
        (self.home / "etc/kubelet.yaml").write_text(KUBELET.format(
            ca=pki.path("ca.crt"), serving=pki.path(f"kubelet-{self.name}"),
            dns=plane.service_address(10), folder=self.home))
        (self.home / "etc/kube-proxy.yaml").write_text(PROXY.format(
            kubeconfig=pki.kubeconfig("kube-proxy"), name=self.name, pods=",".join(plane.pod_cidrs),
            mode=self.cluster.proxy_mode))
        self.spawn("containerd", "containerd", "-c", self.home / "etc/containerd.toml")
        self.sh("for i in $(seq 200); do ctr version >/dev/null 2>&1 && exit; sleep 0.1; done; exit 1")
        for image in self.cluster.images:
            self.run("ctr", "-n", "k8s.io", "images", "import", image, timeout=120)
        self.start_kubelet()
        self.spawn("kube-proxy", programs() / "kube-proxy",
                   f"--config={self.home}/etc/kube-proxy.yaml")

    def start_kubelet(self):
        self.kubelet = self.spawn(
            "kubelet", programs() / "kubelet", f"--config={self.home}/etc/kubelet.yaml",
            f"--kubeconfig={self.cluster.pki.kubeconfig('node-' + self.name)}",
            f"--hostname-override={self.name}", f"--node-ip={','.join(self.addresses)}")

    def remove(self):
        super().remove()
        for _ in range(20):
            remove_cgroups(self.name)
            if not any(leaf.exists() for leaf in cgroup_folders(self.name)):
                break
            subprocess.run(["sleep", "0.1"], check=False)
