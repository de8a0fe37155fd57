"""What Causeway leaves behind after helm uninstall: nothing in the kernel, and nothing in the API."""

from fabric.wait import wait_until
from kube.causeway import NAMESPACE, ROOT, uninstall


def of_ours(node):
    """Causeway's objects in a node's kernel."""
    links = [line.split(":")[1].strip() for line in node.out("ip", "-o", "link").splitlines()
             if "cw-" in line]
    rules = [line for line in node.out("ip", "rule").splitlines() if "cw" in line or "5252" in line]
    tables = [line for line in node.out("nft", "list", "tables").splitlines() if "causeway" in line]
    return links + rules + tables + node.out("ip", "nexthop").splitlines()


def corefile(cluster):
    return cluster.get("-n", "kube-system", "cm", "coredns")["data"]["Corefile"]


def assert_uninstalls(cluster, peer):
    """Uninstalls Causeway, which is paired with `peer`, and then its CRDs."""
    assert "clusterset.local" in corefile(cluster)
    assert all(of_ours(node) for node in cluster.nodes)
    uninstall(cluster)
    left = corefile(cluster)
    assert "clusterset.local" not in left and "kubernetes cluster.local" in left
    for node in cluster.nodes:
        assert of_ours(node) == [], node.name
    for kind in ("tunnelgateways", "routeagents", "remoteexports", "serviceimports"):
        assert cluster.get(kind, "-A")["items"] == [], kind
    # Helm does not wait for the pods of its hooks' Jobs: the garbage collector ends them.
    wait_until(lambda: nothing_left_in_namespace(cluster), 30, "the namespace is empty", every=0.5)
    wide = cluster.kubectl("get", "clusterrole,clusterrolebinding", "-o", "name").stdout
    assert "causeway" not in wide
    cluster.kubectl("delete", "ns", NAMESPACE, "--timeout=60s", timeout=70)
    # The user's own objects stay until their CRDs go.
    assert peer in cluster.kubectl("get", "clusterpeers").stdout
    cluster.kubectl("delete", "-f", "-", stdin=crds(), timeout=90)
    assert "causeway" not in cluster.kubectl("get", "crd", "-o", "name").stdout


def nothing_left_in_namespace(cluster):
    left = set(cluster.kubectl("get", "all,cm,secret,sa,role,rolebinding,pdb,lease", "-n", NAMESPACE, "-o",
                               "name").stdout.split())
    left -= {"configmap/kube-root-ca.crt", "serviceaccount/default"}
    assert not left, sorted(left)
    return True


def crds():
    return "\n---\n".join(f.read_text() for f in sorted((ROOT / "crds").glob("*.yaml")))
