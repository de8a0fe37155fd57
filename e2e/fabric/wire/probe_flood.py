"""Asks a gateway as many nodes do (docs/protocol/probe.md), each with two claims, evenly spread.
Prints how many of how many requests were answered.

    probe_flood.py LINK_LOCAL KEY_BASE64 CLUSTER NODES INTERVAL_MS SECONDS PREFIX...
"""

import base64
import hashlib
import hmac
import ipaddress
import os
import socket
import struct
import sys
import time

PORT, ASK_PORT, TAG_AT = 4797, 4796, 36


def request(key, cluster, prefixes):
    """One node's request. Gateways answer it as often as it comes. The epoch 0 loses to any claim."""
    name = cluster.encode()
    body = b""
    for prefix in prefixes:
        net = ipaddress.ip_network(prefix)
        body += struct.pack("!BBB", 2 if net.version == 6 else 0, net.prefixlen, len(name)) + name
        body += net.network_address.packed + struct.pack("!IQ", 0, 0)
    head = struct.pack("!4sBBBB8sQQI", b"CWP2", 1, 0, 0, len(prefixes), os.urandom(8), 1, 0,
                       0xffffffff)
    bare = head + bytes(16) + body
    tag = hmac.new(key, bare, hashlib.sha256).digest()[:16]
    return bare[:TAG_AT] + tag + bare[TAG_AT + 16:]


def main(address, key, cluster, nodes, interval, seconds, *prefixes):
    key, nodes, seconds = base64.b64decode(key), int(nodes), float(seconds)
    requests = [request(key, cluster, prefixes) for _ in range(nodes)]
    hertz = nodes * 1000 / float(interval)
    out = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    out.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    out.setblocking(False)
    out.bind(("::", ASK_PORT))  # the node's filter lets no other through
    out.connect((address, PORT, 0, socket.if_nametoindex("cw-vx")))
    began, sent, came = time.monotonic(), 0, 0
    while sent < hertz * seconds:
        due = min(int((time.monotonic() - began) * hertz), int(hertz * seconds) + 1)
        while sent < due:
            out.send(requests[sent % nodes])
            sent += 1
        try:
            while out.recv(2000):
                came += 1
        except BlockingIOError:
            time.sleep(0.001)
    print(came, "of", sent)


if __name__ == "__main__":
    main(*sys.argv[1:])
