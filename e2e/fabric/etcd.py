"""An etcd member in a pod. The other members find it by its exported name."""

import shutil

from fabric.services import export, make_service, share
from fabric.wait import wait_until

PEER, CLIENT = 2380, 2379


def name_of(site):
    return f"etcd-0.{site.id}.etcd.data.svc.clusterset.local"


class Member:
    """The member at `site` of an etcd cluster with one member at each of `sites`."""

    def __init__(self, site, sites):
        self.site, self.sites = site, sites
        self.pod = site.pod
        self.folder = site.cluster.folder / "etcd"
        make_service(site.cluster, "data", "etcd", {"peer": PEER, "client": CLIENT},
                     {"etcd-0": self.pod}, headless=True)
        export(site.cluster, "data", "etcd")
        share("data", "etcd", *[other.cluster for other in sites])

    @property
    def url(self):
        return f"http://{name_of(self.site)}:{CLIENT}"

    def start(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        members = ",".join(f"{site.id}=http://{name_of(site)}:{PEER}" for site in self.sites)
        self.process = self.pod.machine.spawn(
            "etcd", "etcd", "--name", self.site.id, "--data-dir", str(self.folder),
            "--initial-cluster", members, "--initial-cluster-state", "new",
            "--initial-advertise-peer-urls", f"http://{name_of(self.site)}:{PEER}",
            "--listen-peer-urls", f"http://{self.pod.ip}:{PEER}",
            "--listen-client-urls", f"http://{self.pod.ip}:{CLIENT}",
            "--advertise-client-urls", self.url,
            # Between sites: a heartbeat of 100 ms, elections after a second (etcd's defaults).
            "--heartbeat-interval", "100", "--election-timeout", "1000",
            "--unsafe-no-fsync" if self._can_skip_fsync() else "--logger=zap", "--logger=zap")

    def _can_skip_fsync(self):
        return "unsafe-no-fsync" in self.pod.machine.run("etcd", "--help", check=False).stdout

    def healthy(self):
        done = self.pod.machine.run("curl", "-s", "--max-time", 1,
                                    f"http://{self.pod.ip}:{CLIENT}/health", check=False)
        return '"true"' in done.stdout

    def leads(self):
        done = self.pod.machine.run("curl", "-s", "--max-time", 1,
                                    f"http://{self.pod.ip}:{CLIENT}/metrics", check=False).stdout
        return "etcd_server_is_leader 1" in done

    def wait(self):
        wait_until(self.healthy, 20, f"the etcd member of {self.site.id} is healthy")

    def count(self):
        """Keys under row/, by a linearizable read."""
        done = self.pod.machine.run("env", "ETCDCTL_API=3", "etcdctl", "--endpoints",
                                    f"http://{self.pod.ip}:{CLIENT}", "get", "row/", "--prefix",
                                    "--keys-only")
        return {int(line[4:]) for line in done.stdout.split() if line.startswith("row/")}
