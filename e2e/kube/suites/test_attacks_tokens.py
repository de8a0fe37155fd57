"""A stolen service-account token, on an API server with only the chart's objects. First each attack, with the
token of a pod of that daemon, then the requests that the daemons need."""

import base64
import json
import textwrap

import pytest
import yaml

from fabric.wait import wait_until
from kube.causeway import CHART, NAMESPACE, ROOT, settings
from kube.control_plane import ControlPlane, Refused, wait_for_crds
from kube.programs import program

KEY = "bm90IGEga2V5IGJ1dCAzMiBieXRlcyBsb25nISEhISE="
OTHER_KEY = base64.b64encode(b"another key of 32 bytes in base64"[:32]).decode()
CW = "cw-0123456789abcdef"
MANAGED = {"endpointslice.kubernetes.io/managed-by": "discovery.causeway.dev"}
PODS = {"gateway-0": ("gateway", "n1"), "gateway-1": ("gateway", "n2"),
        "routeagent-a": ("routeagent", "n1"), "routeagent-b": ("routeagent", "n2"),
        "discovery-a": ("discovery", "n1")}


class Api:
    """What settings() needs of a cluster."""
    name = "east"


def path_of(body, name=""):
    """The path of the collection that an object belongs to, or of the object."""
    version, plural = body["apiVersion"], body["kind"].lower() + "s"
    where = f"/namespaces/{body['metadata']['namespace']}" if "namespace" in body["metadata"] else ""
    return f"/{'apis' if '/' in version else 'api'}/{version}{where}/{plural}" + (name and f"/{name}")


class Token:
    """Requests with the token that the kubelet gives to one pod. They are plain HTTP: kubectl reads before it
    writes, and a refused read says nothing about the write."""

    def __init__(self, plane, text):
        self.plane = plane
        self._curl = ["curl", "-s", "-m", "10", "--cacert", plane.pki.path("ca.crt"), "-H",
                      f"Authorization: Bearer {text.strip()}"]

    def ask(self, method, path, body=None, kind="application/json", headers=()):
        """Returns the answer. Refused: with the API server's words."""
        command = [*self._curl, "-X", method, "-w", "\n%{http_code}", "-H", f"Content-Type: {kind}"]
        for header in headers:
            command += ["-H", header]
        if body is not None:
            command += ["--data-binary", "@-"]
        done = self.plane.machine.run(*command, f"https://127.0.0.1:6443{path}",
                                       stdin=None if body is None else json.dumps(body))
        answer, code = done.stdout.rsplit("\n", 1)
        if not 200 <= int(code) < 300:
            raise Refused(f"{method} {path}: {code} {answer}")
        return answer

    def get(self, path):
        return self.ask("GET", path)

    def create(self, body):
        return self.ask("POST", path_of(body), body)

    def put(self, path, body):
        return self.ask("PUT", path, body)

    def patch(self, path, body):
        return self.ask("PATCH", path, body, "application/merge-patch+json")

    def delete(self, path):
        return self.ask("DELETE", path)


def token_of(plane, pod):
    account, _ = PODS[pod]
    return Token(plane, plane.kubectl(
        "-n", NAMESPACE, "create", "token", f"causeway-{account}", "--bound-object-kind=Pod",
        f"--bound-object-name=causeway-{pod}").stdout)


def helm(plane, *args):
    return plane.machine.run("env", f"HOME={plane.folder}", program("helm"), "--kubeconfig",
                             plane.admin, *args, "-n", NAMESPACE, timeout=60)


@pytest.fixture(scope="module")
def plane(run_folder):
    """The chart with vip: clusterip on an API server, with two nodes and the daemons' pods as objects."""
    made = ControlPlane("tokens", run_folder / "tokens")
    try:
        made.start(controllers=False)
        made.kubectl("apply", "-f", ROOT / "crds")
        wait_for_crds(made)
        helm(made, "install", "causeway", CHART, "--create-namespace", "--no-hooks",
             *settings(Api, **{"discovery.config.vip": "clusterip",
                               "pairing.presharedKeySecrets": "{psk-west}"}))
        made.apply(OTHERS)
        for node, number in (("n1", 1), ("n2", 2)):
            made.apply(json.dumps({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node},
                                   "spec": {"podCIDR": f"10.244.{number}.0/24",
                                            "podCIDRs": [f"10.244.{number}.0/24"]}}))
        for pod, (account, node) in PODS.items():
            made.apply(json.dumps({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": f"causeway-{pod}", "namespace": NAMESPACE},
                "spec": {"serviceAccountName": f"causeway-{account}", "nodeName": node,
                         "containers": [{"name": "x", "image": "x"}]}}))
        yield made
    finally:
        made.remove()


@pytest.fixture(scope="module")
def tokens(plane):
    made = {pod: token_of(plane, pod) for pod in PODS}

    def enforced():
        """Whether the API server has read the policies: tests the last policy of each kind."""
        body = event("causeway-routeagent", "RouteAgent", "n2")
        try:
            made["routeagent-a"].ask("POST", path_of(body) + "?dryRun=All", body)
        except Refused as error:
            return "routeagent-events" in str(error)
    wait_until(enforced, 20, "the policies are in force", every=0.3)
    return made


OTHERS = f"""
apiVersion: v1
kind: Service
metadata: {{name: kube-dns, namespace: kube-system}}
spec: {{selector: {{k8s-app: kube-dns}}, ports: [{{port: 53, protocol: UDP}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: {CW}, namespace: default}}
spec: {{ports: [{{port: 80}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: kube-dns-abc, namespace: kube-system, labels: {{kubernetes.io/service-name: kube-dns}}}}
addressType: IPv4
endpoints: [{{addresses: [10.244.1.9]}}]
---
apiVersion: v1
kind: Secret
metadata: {{name: others, namespace: {NAMESPACE}}}
stringData: {{password: secret}}
---
apiVersion: v1
kind: Secret
metadata: {{name: causeway-gateway-0, namespace: {NAMESPACE}}}
stringData: {{privateKey: "{KEY}"}}
---
apiVersion: v1
kind: Secret
metadata: {{name: causeway-gateway-1, namespace: {NAMESPACE}}}
stringData: {{privateKey: "{KEY}"}}
---
apiVersion: v1
kind: Secret
metadata: {{name: psk-west, namespace: {NAMESPACE}}}
stringData: {{presharedKey: "{KEY}"}}
---
apiVersion: v1
kind: Secret
metadata: {{name: causeway-overlay-key, namespace: {NAMESPACE}}}
data: {{key: {base64.b64encode(b"k" * 32).decode()}}}
---
apiVersion: causeway.dev/v1alpha1
kind: ClusterPeer
metadata: {{name: west}}
spec: {{clusterId: west, gateways: [{{ordinal: 0, publicKey: "{KEY}"}}], allowedCidrs: [10.42.0.0/16, "fd00:42::/48"]}}
---
apiVersion: multicluster.x-k8s.io/v1beta1
kind: ServiceExport
metadata: {{name: pg, namespace: default}}
"""


def gateway(ordinal, node):
    return {"apiVersion": "causeway.dev/v1alpha1", "kind": "TunnelGateway",
            "metadata": {"name": f"gateway-{ordinal}"},
            "spec": {"ordinal": ordinal, "node": node, "publicKey": KEY}}


def route_agent(node):
    return {"apiVersion": "causeway.dev/v1alpha1", "kind": "RouteAgent", "metadata": {"name": node},
            "spec": {"node": node, "publicKey": KEY}}


def remote_export(name="pg.west", service="pg", cluster="west"):
    return {"apiVersion": "causeway.dev/v1alpha1", "kind": "RemoteExport",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"cluster": cluster, "service": service,
                     "exportedAt": "2026-01-01T00:00:00Z"}}


def lease(name, namespace=NAMESPACE):
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"holderIdentity": "me", "leaseDurationSeconds": 15}}


def event(component, kind, name, namespace="default", api="causeway.dev/v1alpha1"):
    about = {"apiVersion": api, "kind": kind, "name": name}
    if namespace != "default" or api.startswith("multicluster"):
        about["namespace"] = namespace
    return {"apiVersion": "v1", "kind": "Event",
            "metadata": {"generateName": "e.", "namespace": namespace}, "involvedObject": about,
            "type": "Normal", "reason": "Test", "message": "x", "reportingComponent": component,
            "reportingInstance": "n1", "source": {"component": component, "host": "n1"}}


def service(name=CW, namespace="kube-system", labels=None, **spec):
    return {"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "namespace": namespace,
                         "labels": MANAGED if labels is None else labels},
            "spec": {"ports": [{"port": 80}], **spec}}


def endpoints(name=f"{CW}-west-4-0", namespace="default", of=CW, labels=None):
    labels = dict(MANAGED if labels is None else labels)
    if of:
        labels["kubernetes.io/service-name"] = of
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": name, "namespace": namespace, "labels": labels},
            "endpoints": [{"addresses": ["10.42.1.9"]}], "ports": [{"port": 80}]}


def token_secret(account):
    return {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
            "metadata": {"name": "stolen", "namespace": NAMESPACE,
                         "annotations": {"kubernetes.io/service-account.name": account}}}


ADMIN = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
         "metadata": {"name": "mine"},
         "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
                     "name": "cluster-admin"},
         "subjects": [{"kind": "ServiceAccount", "name": "causeway-gateway",
                       "namespace": NAMESPACE}]}
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "mine", "namespace": NAMESPACE},
       "spec": {"serviceAccountName": "causeway-discovery",
                "containers": [{"name": "x", "image": "x"}]}}
NS = f"/api/v1/namespaces/{NAMESPACE}"
SECRETS = f"{NS}/secrets"
DNS = "/api/v1/namespaces/kube-system/services/kube-dns"
DNS_SLICE = "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices/kube-dns-abc"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
BINDINGS = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
OURS = "/apis/causeway.dev/v1alpha1"
MCS = "/apis/multicluster.x-k8s.io/v1beta1/namespaces/default"
SECRET = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mine", "namespace": NAMESPACE}}
ALL = {"rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]}

# Requests that no daemon may make.
OF_ANY_DAEMON = {
    "mint a token Secret of discovery": lambda t: t.create(token_secret("causeway-discovery")),
    "mint a token Secret of the stop hook": lambda t: t.create(token_secret("causeway-stop")),
    "mint a token by TokenRequest": lambda t: t.ask(
        "POST", f"{NS}/serviceaccounts/causeway-discovery/token",
        {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}),
    "create a Secret": lambda t: t.create(SECRET),
    "list Secrets": lambda t: t.get(SECRETS),
    "watch Secrets": lambda t: t.get(f"{SECRETS}?watch=1&timeoutSeconds=1"),
    "list Secrets of all namespaces": lambda t: t.get("/api/v1/secrets"),
    "read another's Secret": lambda t: t.get(f"{SECRETS}/others"),
    "read the key of gateway 0": lambda t: t.get(f"{SECRETS}/causeway-gateway-0"),
    "list the key of gateway 1 by its name": lambda t: t.get(
        f"{SECRETS}?fieldSelector=metadata.name%3Dcauseway-gateway-1"),
    "change the cluster's secret": lambda t: t.patch(f"{SECRETS}/causeway-overlay-key", {"data": {}}),
    "delete a Secret": lambda t: t.delete(f"{SECRETS}/causeway-overlay-key"),
    "create a Pod": lambda t: t.create(POD),
    "enter a Pod": lambda t: t.ask("POST", f"{NS}/pods/causeway-gateway-0/exec?command=sh"),
    "change a Pod": lambda t: t.patch(f"{NS}/pods/causeway-gateway-0", {"metadata": {"labels": {"a": "b"}}}),
    "impersonate the administrator": lambda t: t.ask(
        "GET", "/api/v1/nodes", headers=["Impersonate-User: admin", "Impersonate-Group: system:masters"]),
    "bind itself to cluster-admin": lambda t: t.create(ADMIN),
    "widen its role": lambda t: t.patch(f"{RBAC}/clusterroles/causeway-gateway", ALL),
    "remove a policy": lambda t: t.delete(f"{BINDINGS}/causeway-gateway-object"),
    "change a Node": lambda t: t.patch("/api/v1/nodes/n1", {"metadata": {"labels": {"a": "b"}}}),
    "change a ClusterPeer": lambda t: t.patch(f"{OURS}/clusterpeers/west",
                                              {"spec": {"allowedCidrs": ["0.0.0.0/0"]}}),
    "change a ServiceExport": lambda t: t.patch(f"{MCS}/serviceexports/pg",
                                                {"spec": {"exportedLabels": {"a": "b"}}}),
    "replace the cluster's DNS": lambda t: t.put(DNS, service(
        "kube-dns", selector={"app": "mine"}, externalIPs=["192.0.2.9"])),
    "mark the cluster's DNS as its own": lambda t: t.patch(DNS, {"metadata": {"labels": MANAGED}}),
    "delete the cluster's DNS": lambda t: t.delete(DNS),
    "delete the DNS' endpoints": lambda t: t.delete(DNS_SLICE),
    "delete all Services": lambda t: t.delete("/api/v1/namespaces/kube-system/services"),
    "endpoints for the API server": lambda t: t.create(endpoints("mine", of="kubernetes")),
    "a Lease of the kube-scheduler": lambda t: t.create(lease("kube-scheduler", "kube-system")),
    "another Lease": lambda t: t.create(lease("other")),
    "an Event on a Node": lambda t: t.create(event("kubelet", "Node", "n1", api="v1")),
    "an Event in another's name": lambda t: t.create(event("kubelet", "ClusterPeer", "west")),
}


@pytest.mark.parametrize("pod", ["gateway-0", "routeagent-a", "discovery-a"])
@pytest.mark.parametrize("attack", OF_ANY_DAEMON)
def test_a_stolen_token_does_nothing_beyond_its_daemons_work(tokens, pod, attack):
    with pytest.raises(Refused, match="forbidden|denied"):
        OF_ANY_DAEMON[attack](tokens[pod])


def outside(*cidrs):
    return lambda t: replaced(t, f"{OURS}/clusterpeers/west/status",
                              lambda p: p.update(status={"cidrs": list(cidrs)}))


# The token, then the requests that it may not make.
OF_ONE = {
    "another gateway's object": ("gateway-0", lambda t: t.create(gateway(1, "n1"))),
    "a TunnelGateway of no pod": ("gateway-0", lambda t: t.create(gateway(7, "n1"))),
    "a TunnelGateway of another ordinal under its own name": (
        "gateway-0", lambda t: t.create({**gateway(1, "n1"), "metadata": {"name": "gateway-0"}})),
    "its TunnelGateway on another node": ("gateway-0", lambda t: t.create(gateway(0, "n2"))),
    "a gateway's object by a route agent": ("routeagent-a", lambda t: t.create(gateway(0, "n1"))),
    "a claim of the Internet's DNS": ("gateway-0", outside("10.42.1.0/24", "8.8.8.8/32")),
    "a claim of the Services": ("gateway-1", outside("10.96.0.0/12")),
    "a claim that contains the allowed prefix": ("gateway-0", outside("10.0.0.0/8")),
    "a claim of all of IPv6": ("gateway-0", outside("::/0")),
    "a claim that is no prefix": ("gateway-0", outside("everything")),
    "a RemoteExport of another name": ("gateway-0", lambda t: t.create(remote_export("pg.north"))),
    "the RouteAgent of another node": ("routeagent-a", lambda t: t.create(route_agent("n2"))),
    "the RouteAgent of no node": ("routeagent-a", lambda t: t.create(route_agent("n9"))),
    "a RouteAgent by a gateway": ("gateway-0", lambda t: t.create(route_agent("n1"))),
    "an Event on another node's RouteAgent": (
        "routeagent-a", lambda t: t.create(event("causeway-routeagent", "RouteAgent", "n2"))),
    "an Event on another gateway": (
        "gateway-0", lambda t: t.create(event("causeway-gateway", "TunnelGateway", "gateway-1"))),
    "discovery's Lease by a gateway": ("gateway-0", lambda t: t.create(lease("causeway-discovery"))),
    "the gateways' Lease by discovery": ("discovery-a", lambda t: t.create(lease("causeway-import"))),
    "a pre-shared key by a route agent": (
        "routeagent-a", lambda t: t.get(f"{SECRETS}/psk-west")),
    "a Service of any name": ("discovery-a", lambda t: t.create(service("mine"))),
    "a Service without the mark": ("discovery-a", lambda t: t.create(service(labels={}))),
    "a Service with a selector": (
        "discovery-a", lambda t: t.create(service(selector={"k8s-app": "kube-dns"}))),
    "a Service with external addresses": (
        "discovery-a", lambda t: t.create(service(externalIPs=["192.0.2.9"]))),
    "a Service on every node's port": ("discovery-a", lambda t: t.create(service(type="NodePort"))),
    "a Service that is an alias": (
        "discovery-a", lambda t: t.create(service(type="ExternalName", externalName="example.com"))),
    "a load balancer": ("discovery-a", lambda t: t.create(service(type="LoadBalancer"))),
    "a user's Service that is called like a derived one": (
        "discovery-a", lambda t: t.put(f"/api/v1/namespaces/default/services/{CW}",
                                       service(namespace="default"))),
    "that Service's end": (
        "discovery-a", lambda t: t.delete(f"/api/v1/namespaces/default/services/{CW}")),
    "endpoints for another Service under a derived name": (
        "discovery-a", lambda t: t.create(endpoints(of="kubernetes"))),
    "endpoints without the mark": ("discovery-a", lambda t: t.create(endpoints(labels={}))),
    "more endpoints for the cluster's DNS": ("discovery-a", lambda t: t.create(
        endpoints("cw-0000000000000000-x", "kube-system", "kube-dns"))),
    "a slice of the cluster's DNS relabelled": ("discovery-a", lambda t: t.put(
        DNS_SLICE, endpoints("kube-dns-abc", "kube-system", "kube-dns"))),
    "a RemoteExport by discovery": ("discovery-a", lambda t: t.create(remote_export())),
    "a ClusterPeer's status by discovery": ("discovery-a", outside("10.42.1.0/24")),
}


@pytest.mark.parametrize("attack", OF_ONE)
def test_a_stolen_token_writes_no_object_of_another(tokens, attack):
    pod, attempt = OF_ONE[attack]
    with pytest.raises(Refused, match="forbidden|denied"):
        attempt(tokens[pod])


def test_a_token_without_a_pod_writes_nothing(plane, tokens):
    """A token that an administrator mints by hand, or an old token that is bound to no pod."""
    for account, body in (("gateway", gateway(0, "n1")), ("routeagent", route_agent("n1"))):
        token = Token(plane, plane.token(NAMESPACE, f"causeway-{account}"))
        with pytest.raises(Refused, match="denied"):
            token.create(body)


def test_objects_of_another_cannot_be_changed_either(plane, tokens):
    for pod, body in (("gateway-0", gateway(1, "n2")), ("routeagent-a", route_agent("n2"))):
        plane.apply(json.dumps(body))
        path = path_of(body, body["metadata"]["name"])
        for attempt in (lambda t: replaced(t, path, lambda o: o["spec"].update(publicKey=OTHER_KEY)),
                        lambda t: replaced(t, f"{path}/status", lambda o: o.update(status={})),
                        lambda t: t.delete(path)):
            with pytest.raises(Refused, match="forbidden|denied"):
                attempt(tokens[pod])
        plane.kubectl("delete", "--raw", path)


def replaced(token, path, change):
    """Reads the stored object, changes it and writes it back, as a daemon does."""
    body = json.loads(token.plane.kubectl("get", "--raw", path.removesuffix("/status")).stdout)
    change(body)
    return token.put(path, body)


def test_a_gateway_does_its_work(tokens):
    token = tokens["gateway-0"]
    token.create(gateway(0, "n1"))
    path = f"{OURS}/tunnelgateways/gateway-0"
    replaced(token, path, lambda g: g["spec"].update(endpoints=["192.0.2.1:4500"]))
    replaced(token, f"{path}/status", lambda g: g.update(status={"draining": True}))
    replaced(token, f"{OURS}/clusterpeers/west/status",
             lambda p: p.update(status={"cidrs": ["10.42.1.0/24", "fd00:42:0:1::/64"]}))
    token.create(remote_export())
    export = path_of(remote_export(), "pg.west")
    replaced(token, export, lambda e: e["spec"].update(headless=True))
    token.delete(export)
    token.create(lease("causeway-import"))
    replaced(token, path_of(lease("x"), "causeway-import"),
             lambda one: one["spec"].update(holderIdentity="you"))
    token.create(event("causeway-gateway", "TunnelGateway", "gateway-0"))
    token.create(event("causeway-gateway", "ClusterPeer", "west"))
    for name in ("causeway-overlay-key", "psk-west"):
        selector = f"fieldSelector=metadata.name%3D{name}"
        assert name in token.get(f"{SECRETS}/{name}")
        assert name in token.get(f"{SECRETS}?{selector}")
        assert name in token.get(f"{SECRETS}?watch=1&resourceVersion=0&timeoutSeconds=1&{selector}")


def test_a_claim_outside_that_is_there_already_does_not_stop_conditions(plane, tokens):
    """An administrator removes a prefix: conditions are still written before the claim goes."""
    plane.apply(yaml.safe_dump({
        "apiVersion": "causeway.dev/v1alpha1", "kind": "ClusterPeer", "metadata": {"name": "north"},
        "spec": {"clusterId": "north", "gateways": [{"ordinal": 0, "publicKey": KEY}],
                 "allowedCidrs": ["10.50.0.0/16", "10.51.0.0/16"]}}))
    token = tokens["gateway-0"]
    status = f"{OURS}/clusterpeers/north/status"
    replaced(token, status, lambda p: p.update(status={"cidrs": ["10.50.1.0/24", "10.51.1.0/24"]}))
    plane.kubectl("patch", "clusterpeer", "north", "--type=merge", "-p",
                  '{"spec": {"allowedCidrs": ["10.50.0.0/16"]}}')
    replaced(token, status, lambda p: p["status"].update(connected=True))
    with pytest.raises(Refused, match="denied"):
        replaced(token, status, lambda p: p["status"].update(cidrs=["10.51.2.0/24"]))
    replaced(token, status, lambda p: p["status"].update(cidrs=["10.50.1.0/24"]))


def test_the_largest_status_is_within_the_api_servers_limits(plane, tokens, tell):
    """5,000 claims (a cluster of 5,000 nodes) and as many allowed prefixes as the policy checks."""
    allowed = [f"10.{n}.0.0/16" for n in range(100, 116)]
    plane.apply(yaml.safe_dump({
        "apiVersion": "causeway.dev/v1alpha1", "kind": "ClusterPeer", "metadata": {"name": "large"},
        "spec": {"clusterId": "large", "gateways": [{"ordinal": 0, "publicKey": KEY}],
                 "allowedCidrs": allowed}}))
    claims = [f"10.115.{n // 16}.{n % 16 * 16}/28" for n in range(4096)]
    claims += [f"10.114.{n // 16}.{n % 16 * 16}/28" for n in range(904)]
    replaced(tokens["gateway-0"], f"{OURS}/clusterpeers/large/status",
             lambda p: p.update(status={"cidrs": claims}))
    tell(f"a status of {len(claims)} prefixes against {len(allowed)} allowed ones is accepted")


def test_a_route_agent_does_its_work(tokens):
    token = tokens["routeagent-a"]
    token.create(route_agent("n1"))
    path = f"{OURS}/routeagents/n1"
    token.ask("PATCH", f"{path}/status?fieldManager=causeway-routeagent&force=true",
              {"apiVersion": "causeway.dev/v1alpha1", "kind": "RouteAgent", "metadata": {"name": "n1"},
               "status": {"routes": 3}}, "application/apply-patch+yaml")
    replaced(token, path, lambda a: a["spec"].update(publicKey=OTHER_KEY))
    token.create(event("causeway-routeagent", "RouteAgent", "n1"))
    assert "causeway-overlay-key" in token.get(f"{SECRETS}?fieldSelector=metadata.name%3Dcauseway-overlay-key")


def test_discovery_does_its_work(tokens):
    token = tokens["discovery-a"]
    derived = service(CW, "kube-public")
    token.create(derived)
    replaced(token, path_of(derived, CW), lambda s: s["spec"].update(sessionAffinity="ClientIP"))
    for of in (CW, None):
        slice_ = endpoints(namespace="kube-public", of=of)
        token.create(slice_)
        path = path_of(slice_, f"{CW}-west-4-0")
        replaced(token, path, lambda s: s["endpoints"].append({"addresses": ["10.42.1.10"]}))
        token.delete(path)
    token.delete(path_of(derived, CW))
    token.create({"apiVersion": "multicluster.x-k8s.io/v1beta1", "kind": "ServiceImport",
                  "metadata": {"name": "pg", "namespace": "default"},
                  "spec": {"type": "ClusterSetIP", "ports": []}})
    path = f"{MCS}/serviceimports/pg"
    replaced(token, f"{path}/status", lambda i: i.update(status={"clusters": [{"cluster": "west"}]}))
    token.delete(path)
    replaced(token, f"{MCS}/serviceexports/pg/status", lambda e: e.update(status={"conditions": []}))
    token.create(lease("causeway-discovery"))
    token.create(event("causeway-discovery", "ClusterPeer", "west"))
    token.create(event("causeway-discovery", "ServiceExport", "pg",
                       api="multicluster.x-k8s.io/v1beta1"))


def test_without_vip_clusterip_discovery_writes_no_service_at_all(plane, tokens):
    helm(plane, "upgrade", "causeway", CHART, "--no-hooks",
         *settings(Api, **{"discovery.config.vip": "endpoints"}))
    token = tokens["discovery-a"]

    def refused(body):
        try:
            token.ask("POST", path_of(body) + "?dryRun=All", body)
        except Refused as error:
            return "forbidden" in str(error) and "denied" not in str(error)
    for body in (service(CW, "kube-public"), endpoints(namespace="kube-public")):
        wait_until(lambda b=body: refused(b), 10, "the role is smaller", every=0.3)


def hook_objects(*kinds):
    """The chart's hooks as Helm renders them."""
    import subprocess
    text = subprocess.run([program("helm"), "template", "causeway", CHART, "-n", NAMESPACE,
                           *settings(Api)], check=True, capture_output=True, text=True).stdout
    return [body for body in yaml.safe_load_all(text) if body and body["kind"] in kinds
            and body["metadata"]["name"] == "causeway-keys"]


def test_the_hook_makes_the_missing_keys_and_nothing_else(plane, tokens, build):
    plane.kubectl("-n", NAMESPACE, "delete", "secret", "causeway-gateway-1", "causeway-overlay-key")
    kept = plane.get("-n", NAMESPACE, "secret", "causeway-gateway-0")["data"]
    plane.apply(json.dumps(gateway(1, "n2")))
    plane.apply("\n---\n".join(yaml.safe_dump({**body, "metadata": {
        **body["metadata"], "namespace": NAMESPACE}})
        for body in hook_objects("ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")))
    config = plane.pki.kubeconfig("as-keys", f'{{token: "{plane.token(NAMESPACE, "causeway-keys")}"}}')
    command = hook_objects("Job")[0]["spec"]["template"]["spec"]["containers"][0]["command"]
    # Peers identify gateway 1 by its key, so a lost Secret is not replaced without a request.
    refused = plane.run(build / "bin" / command[0], *command[1:], env={"KUBECONFIG": config}, check=False)
    assert refused.returncode == 1
    assert f"Secret {NAMESPACE}/causeway-gateway-1 is gone" in refused.stderr
    plane.kubectl("delete", "tunnelgateways.causeway.dev", "gateway-1")
    for _ in range(2):  # the second time there is nothing to do
        plane.run(build / "bin" / command[0], *command[1:], env={"KUBECONFIG": config})
        made = plane.get("-n", NAMESPACE, "secret", "causeway-gateway-1")
        assert len(base64.b64decode(base64.b64decode(made["data"]["privateKey"]))) == 32
        assert made["immutable"] and made["type"] == "Opaque"
        probe = plane.get("-n", NAMESPACE, "secret", "causeway-overlay-key")["data"]["key"]
        assert len(base64.b64decode(probe)) == 32
    assert plane.get("-n", NAMESPACE, "secret", "causeway-gateway-0")["data"] == kept
    for body in (token_secret("causeway-discovery"),
                 {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x", "namespace": NAMESPACE}}):
        with pytest.raises(Refused, match="denied"):
            plane.kubectl("create", "-f", "-", stdin=json.dumps(body), config=config)
    with pytest.raises(Refused, match="forbidden"):
        plane.kubectl("-n", NAMESPACE, "get", "secret", "others", config=config)


def test_a_key_that_is_broken_is_named(plane, tokens, build):
    plane.kubectl("-n", NAMESPACE, "delete", "secret", "causeway-gateway-1", "--ignore-not-found")
    plane.apply(textwrap.dedent(f"""
        apiVersion: v1
        kind: Secret
        metadata: {{name: causeway-gateway-1, namespace: {NAMESPACE}}}
        stringData: {{other: entry}}
        """))
    done = plane.run(build / "bin/causewayctl", "lifecycle", "keys", "--namespace", NAMESPACE,
                     "--gateways", "2", env={"KUBECONFIG": plane.admin}, check=False)
    assert done.returncode == 1
    assert f"Secret {NAMESPACE}/causeway-gateway-1 has no entry privateKey" in done.stderr
