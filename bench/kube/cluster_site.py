"""One measured cluster: a real API server without nodes in a machine of its own, and the daemons beside it.
Its underlay is the machine's link under0, which the caller makes."""

import json
import pathlib
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "e2e"))

from fabric import objects  # noqa: E402
from fabric.wait import wait_until  # noqa: E402
from kube.control_plane import ControlPlane, wait_for_crds  # noqa: E402

NAMESPACE = "bench"
STATUS = {"causeway-gateway": 9701, "causeway-routeagent": 9702, "causeway-discovery": 9703}
OURS = ("services", "endpointslices", "serviceexports", "serviceimports", "remoteexports", "nodes",
        "namespaces", "clusterproperties", "clusterpeers", "tunnelgateways", "routeagents", "secrets",
        "leases", "events")
IMPORTS = "/apis/multicluster.x-k8s.io/v1beta1/serviceimports"
REMOTE_EXPORTS = "/apis/causeway.dev/v1alpha1/remoteexports"


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


class Site:
    def __init__(self, name, number, folder, build):
        """`number` 1, 2, ...: pods have addresses of (9 + number).64.0.0/10."""
        self.name, self.folder, self.build = name, folder, build
        self.first_byte, self.underlay = 9 + number, f"192.0.2.{number}"
        self.daemons = {}
        self.plane = ControlPlane(name, folder)
        self.machine = self.plane.machine

    def start_plane(self):
        self.machine.sh(f"ip link set under0 up; ip addr add {self.underlay}/24 dev under0")
        self.plane.start(controllers=False)
        self.plane.kubectl("apply", "-f", ROOT / "crds")
        wait_for_crds(self.plane)
        node = objects.node("n1", [self.underlay], [f"{self.first_byte}.64.0.0/10"])
        for body in (objects.namespace(NAMESPACE), objects.namespace("causeway-system"),
                     objects.cluster_property("cluster.clusterset.k8s.io", self.name), node):
            self.plane.apply(json.dumps(body))
        self.plane.kubectl("patch", "node", "n1", "--subresource=status", "--type=merge", "-p",
                           json.dumps({"status": node["status"]}))

    def fill(self, *shape):
        """Runs fill.py with these arguments after the folder of the admin's certificate."""
        self.machine.run(sys.executable, ROOT / "bench/kube/fill.py", self.folder / "pki", *shape, timeout=900)

    def token(self):
        """A kubeconfig with a ServiceAccount's token, as daemons in pods have one. A token costs an API
        server less than a client certificate, which it verifies for every request."""
        for body in ({"apiVersion": "v1", "kind": "ServiceAccount",
                      "metadata": {"name": "daemons", "namespace": "causeway-system"}},
                     {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
                      "metadata": {"name": "daemons"},
                      "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
                                  "name": "cluster-admin"},
                      "subjects": [{"kind": "ServiceAccount", "name": "daemons",
                                    "namespace": "causeway-system"}]}):
            self.plane.apply(json.dumps(body))
        token = self.plane.kubectl("create", "token", "daemons", "-n", "causeway-system",
                                   "--duration=24h").stdout.strip()
        return self.plane.pki.kubeconfig("daemons", f'{{token: "{token}"}}')

    def start_daemons(self):
        access = self.token()
        for program, port in STATUS.items():
            config = {"store": f"kube:{access}", "status": f"127.0.0.1:{port}"}
            if program == "causeway-discovery":
                config |= {"listen": ["127.0.0.1:53"], "identity": "bench"}
            else:
                config |= {"node": "n1"}
            if program == "causeway-gateway":
                config |= {"ordinal": 0}
            path = self.folder / f"{program}.yaml"
            path.write_text(json.dumps(config))
            self.daemons[program] = self.machine.spawn(program, self.build / "bin" / program, "--config", path)

    def stop_daemons(self):
        for daemon in self.daemons.values():
            daemon.stop()

    def resident_mib(self):
        return {program: daemon.resident_kib() / 1024 for program, daemon in self.daemons.items()}

    def requests(self):
        """Requests for our kinds so far, by verb. A watch counts when it ends."""
        found = {}
        for line in self.plane.kubectl("get", "--raw", "/metrics").stdout.splitlines():
            if line.startswith("apiserver_request_total{"):
                labels = dict(part.split("=", 1) for part in line[line.index("{") + 1:line.index("}")
                                                                  ].replace('"', "").split(",")
                              if "=" in part)
                if labels.get("resource") in OURS:
                    found[labels["verb"]] = found.get(labels["verb"], 0) + float(line.rsplit(" ", 1)[1])
        return found

    def count(self, path):
        """The number of objects in a list, without reading them."""
        page = json.loads(self.plane.kubectl("get", "--raw", f"{path}?limit=1").stdout)
        return len(page["items"]) + page["metadata"].get("remainingItemCount", 0)

    def lookup(self, name):
        shown = self.machine.run("dig", "+short", "+time=1", "+tries=1", "@127.0.0.1", name, check=False).stdout
        return [line for line in shown.splitlines() if not line.startswith(";")]  # dig's own complaints

    def remove(self):
        self.stop_daemons()
        self.plane.remove()


def quiet(sites):
    """Waits until the daemons ask for little but their Leases."""
    def still():
        before = [sum(site.requests().values()) for site in sites]
        time.sleep(3)
        return all(sum(site.requests().values()) - b < 14 for site, b in zip(sites, before))
    wait_until(still, 900, "the daemons have done their work", every=1)


def less(after, before):
    return {verb: round(after[verb] - before.get(verb, 0)) for verb in after
            if after[verb] != before.get(verb, 0)}


def shown(requests):
    return f"{sum(requests.values())} ({', '.join(f'{v} {n}' for v, n in sorted(requests.items()))})"
