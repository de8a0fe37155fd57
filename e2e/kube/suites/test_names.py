"""Names of causeway-discovery without its API server: its last known table, and the state that the host's
route agent reports."""

import json
import os
import threading
import time

import pytest

from fabric.dns import ask
from fabric.wait import stays_true, wait_until

KEY = "bm90IGEga2V5IGJ1dCAzMiBieXRlcyBsb25nISEhISE="
NAME = "pg.names.svc.clusterset.local"
BOTH = ["10.3.0.5", "10.4.0.5"]


class RouteAgent(threading.Thread):
    """Writes which clusters this host reaches, as the route agent does: atomically, at once and then
    repeatedly."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path, self.clusters = path, {"west": True, "north": True}
        self.lock, self.ends = threading.Lock(), threading.Event()
        path.parent.mkdir(mode=0o755)

    def says(self, **clusters):
        with self.lock:
            self.clusters = clusters
            lines = [f"causeway-reach 1 {time.clock_gettime_ns(time.CLOCK_BOOTTIME)}"]
            lines += [f"{int(reached)} {name}" for name, reached in sorted(clusters.items())]
            fresh = self.path.with_suffix(".tmp")
            fresh.write_text("\n".join(lines) + f"\nend {len(clusters)}\n")
            fresh.chmod(0o644)
            fresh.rename(self.path)

    def run(self):
        while not self.ends.wait(0.5):
            self.says(**self.clusters)


def remote_export(cluster, address):
    return {"apiVersion": "causeway.dev/v1alpha1", "kind": "RemoteExport",
            "metadata": {"name": f"pg.{cluster}", "namespace": "names"},
            "spec": {"cluster": cluster, "service": "pg", "exportedAt": "2026-01-01T00:00:00Z", "headless": True,
                     "ports": [{"name": "sql", "port": 5432, "protocol": "TCP"}],
                     "targetPorts": [{"name": "sql", "port": 5432, "protocol": "TCP"}],
                     "ipFamilies": ["IPv4"], "sessionAffinity": "None",
                     "endpoints": [{"addresses": [address], "hostname": "pg-0", "ready": True}]}}


class Names:
    def __init__(self, plane, build, folder):
        self.plane, self.build = plane, build
        self.reach_file, self.table_file = folder / "run" / "reach", folder / "state" / "names.json"
        self.agent = RouteAgent(self.reach_file)
        self.agent.start()
        self.settings = folder / "names.yaml"
        self.settings.write_text(
            f'store: "kube:{plane.admin}"\nnamespace: names\nidentity: names\nservice: dns\n'
            "listen: ['127.0.0.1:5355']\nstatus: 127.0.0.1:9805\n"
            f"reachFile: {self.reach_file}\ntableFile: {self.table_file}\ntableMaxAge: 1m\n")
        self.daemon = None

    def start(self):
        self.daemon = self.plane.machine.spawn("names", self.build / "bin/causeway-discovery", "--config",
                                               self.settings)

    def asked(self, name=NAME):
        return ask(self.plane.machine, "127.0.0.1", name, port=5355)

    def addresses(self, name=NAME):
        return self.asked(name).data("A")

    def status(self, page):
        return self.plane.machine.run("curl", "-s", f"http://127.0.0.1:9805/{page}", check=False).stdout


@pytest.fixture
def names(plane, build, run_folder):
    folder = run_folder / "names"
    folder.mkdir()
    plane.kubectl("create", "namespace", "names")
    plane.apply(json.dumps({"apiVersion": "about.k8s.io/v1beta1", "kind": "ClusterProperty",
                            "metadata": {"name": "cluster.clusterset.k8s.io"}, "spec": {"value": "east"}}))
    plane.apply(json.dumps({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "dns", "namespace": "names"},
                            "spec": {"ports": [{"port": 53, "protocol": "UDP"}]}}))
    for cluster, address in (("west", BOTH[0]), ("north", BOTH[1])):
        plane.apply(json.dumps({"apiVersion": "causeway.dev/v1alpha1", "kind": "ClusterPeer",
                                "metadata": {"name": cluster}, "spec": {
                                    "clusterId": cluster, "gateways": [{"ordinal": 0, "publicKey": KEY}]}}))
        plane.kubectl("patch", "clusterpeer", cluster, "--subresource=status", "--type=merge", "-p",
                      json.dumps({"status": {"connected": True}}))
        plane.apply(json.dumps(remote_export(cluster, address)))
    made = Names(plane, build, folder)
    made.start()
    yield made
    made.agent.ends.set()
    made.agent.join()
    if made.daemon.alive():
        made.daemon.kill()
    if not plane.processes["api"].alive():
        plane.start_api()
        plane.wait_ready()
    plane.kubectl("delete", "namespace", "names", "--wait=false")
    plane.kubectl("delete", "clusterpeer", "west", "north")


def test_names_without_the_api(names, plane, tell):
    wait_until(lambda: names.addresses() == BOTH, 20, "the names are there", every=0.1)
    server = plane.get("-n", "names", "service", "dns")["spec"]["clusterIP"]
    assert names.addresses("ns.dns.clusterset.local") == [server]
    wait_until(names.table_file.exists, 20, "the names are on disk", every=0.1)
    plane.stop_api()
    wait_until(lambda: "causeway_dns_follows_route_agent 1" in names.status("metrics"), 10,
               "the route agent counts", every=0.1)
    assert names.addresses() == BOTH
    began = time.monotonic()
    names.agent.says(west=False, north=True)
    wait_until(lambda: names.addresses() == [BOTH[1]], 2, "names follow the tunnels", every=0.02)
    tell(f"names follow {time.monotonic() - began:.2f} s after the route agent says that a cluster is lost")
    # A replica that starts now serves its last known table, and follows the route agent, too.
    names.daemon.kill()
    names.start()
    wait_until(lambda: names.addresses() == [BOTH[1]], 5, "the table on disk is served", every=0.05)
    names.agent.says(west=True, north=True)
    wait_until(lambda: names.addresses() == BOTH, 2, "names follow the tunnels back", every=0.02)
    assert names.addresses("ns.dns.clusterset.local") == [server]
    assert "causeway_dns_kept_table 1" in names.status("metrics")
    assert "served from the table on disk" in names.status("readyz")
    # The table is too old: it is not served, and readiness says so.
    names.daemon.kill()
    old = time.time() - 120
    os.utime(names.table_file, (old, old))
    names.start()
    wait_until(lambda: names.asked().status == "SERVFAIL", 5, "an old table is not served", every=0.05)
    stays_true(lambda: names.asked().status == "SERVFAIL", 1, "it stays so")
    assert "all queries get SERVFAIL" in names.status("readyz")
    plane.start_api()
    plane.wait_ready()
    wait_until(lambda: names.addresses() == BOTH, 30, "the API server takes over", every=0.1)
    assert "causeway_dns_kept_table 0" in names.status("metrics")
