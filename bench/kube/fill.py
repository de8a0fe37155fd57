#!/usr/bin/python3
"""Makes many exported Services with their EndpointSlices in the API server of an admin's certificate, inside
the machine on which that server runs. Without FIRST-BYTE-OF-ADDRESSES it also makes as many RemoteExports of
a cluster "west".

    fill.py PKI-FOLDER SERVICES ENDPOINTS-EACH [FIRST-BYTE-OF-ADDRESSES PREFIX-OF-NAMES]
"""

import http.client
import json
import pathlib
import ssl
import sys
import threading

THREADS = 8
NAMESPACE = "bench"


def address(number, first):
    return f"{first}.{number // 65536 % 64 + 64}.{number // 256 % 256}.{number % 256}"


def objects_of(number, endpoints, byte, prefix, remote):
    """(path, body) of all objects of Service number n."""
    name, spaced = f"{prefix}{number}", f"namespaces/{NAMESPACE}"
    meta = {"name": name, "namespace": NAMESPACE}
    first = number * endpoints
    yield f"/api/v1/{spaced}/services", {
        "apiVersion": "v1", "kind": "Service", "metadata": meta,
        "spec": {"clusterIP": "None", "ports": [{"name": "sql", "port": 5432, "protocol": "TCP"}]}}
    yield f"/apis/discovery.k8s.io/v1/{spaced}/endpointslices", {
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {**meta, "labels": {"kubernetes.io/service-name": name}},
        "ports": [{"name": "sql", "port": 5432, "protocol": "TCP"}],
        "endpoints": [{"addresses": [address(first + e, byte)], "hostname": f"{name}-{e}",
                       "conditions": {"ready": True}} for e in range(endpoints)]}
    yield f"/apis/multicluster.x-k8s.io/v1beta1/{spaced}/serviceexports", {
        "apiVersion": "multicluster.x-k8s.io/v1beta1", "kind": "ServiceExport", "metadata": meta}
    if not remote:
        return
    yield f"/apis/causeway.dev/v1alpha1/{spaced}/remoteexports", {
        "apiVersion": "causeway.dev/v1alpha1", "kind": "RemoteExport",
        "metadata": {"name": f"{name}.west", "namespace": NAMESPACE},
        "spec": {"cluster": "west", "service": name, "exportedAt": "2026-01-01T00:00:00Z",
                 "headless": True, "ipFamilies": ["IPv4"], "sessionAffinity": "None",
                 "ports": [{"name": "sql", "port": 5432, "protocol": "TCP"}],
                 "portSets": [{"ports": [{"name": "sql", "port": 5432, "protocol": "TCP"}]}],
                 "endpoints": [{"addresses": [address(first + e, 11)], "hostname": f"{name}-{e}",
                                "ready": True} for e in range(endpoints)]}}


def connection(pki):
    context = ssl.create_default_context(cafile=pki / "ca.crt")
    context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
    return http.client.HTTPSConnection("127.0.0.1", 6443, context=context, timeout=60)


def send(server, method, path, body, problems):
    """The stored object, or None and an entry in `problems`."""
    server.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
    answer = server.getresponse()
    text = answer.read()
    if answer.status in (200, 201):
        return json.loads(text)
    problems.append(f"{path}: {answer.status} {text[:300]!r}")
    return None


def make_peer(server, problems):
    """The connected cluster "west". Its exports have the names of ours and are one Service with them."""
    path = "/apis/causeway.dev/v1alpha1/clusterpeers"
    made = send(server, "POST", path, {
        "apiVersion": "causeway.dev/v1alpha1", "kind": "ClusterPeer", "metadata": {"name": "west"},
        "spec": {"clusterId": "west", "gateways": [{"ordinal": 0, "publicKey": "A" * 43 + "="}],
                 "allowedCidrs": ["11.0.0.0/8"],
                 "imports": [{"namespace": "*", "overLocal": True}]}}, problems)
    if made:
        send(server, "PUT", f"{path}/west/status", {**made, "status": {"connected": True}}, problems)


def work(pki, numbers, shape, problems):
    server = connection(pki)
    for number in numbers:
        for path, body in objects_of(number, *shape):
            if send(server, "POST", path, body, problems) is None:
                return


def main():
    pki, count, endpoints = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    shape = (endpoints, int(sys.argv[4]), sys.argv[5], False) if len(sys.argv) > 4 else (endpoints, 10, "s", True)
    problems = []
    if len(sys.argv) <= 4:
        make_peer(connection(pki), problems)
    threads = [threading.Thread(target=work, args=(pki, range(t, count, THREADS), shape, problems))
               for t in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        sys.exit(problems[0])


main()
