"""Asks a gateway as many nodes do (docs/protocol/probe.md), each with a key of its own and a claim in each
family, evenly spread. Prints how many requests were sent and how many were answered. The nodes come on
standard input, one per line: "NAME PRIVATE_KEY".

    probe_flood.py LINK_LOCAL GATEWAY_PUBLIC_KEY CLUSTER INTERVAL_MS SECONDS
"""

import socket
import sys
import time

from probe import ASK_PORT, NODE_PORT, Asker, claim, pair_key, party_id, public_of


def main(address, gateway, cluster, interval, seconds):
    askers = []
    for line in sys.stdin:
        name, private = line.split()
        asker = Asker(pair_key(private, gateway), party_id(public_of(private), name))
        askers.append((asker, [claim(cluster, name, family, 0, 1) for family in (4, 6)]))
    by_party = {asker.party: asker for asker, _ in askers}
    hertz, seconds = len(askers) * 1000 / float(interval), float(seconds)
    out = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    out.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    out.setblocking(False)
    out.bind(("::", ASK_PORT))  # the node's filter lets no other port through
    out.connect((address, NODE_PORT, 0, socket.if_nametoindex("cw-vx")))
    print("asks", flush=True)  # the measurement begins here
    began, sent, came = time.monotonic(), 0, 0
    while sent < hertz * seconds:
        due = min(int((time.monotonic() - began) * hertz), int(hertz * seconds) + 1)
        while sent < due:
            asker, claims = askers[sent % len(askers)]
            out.send(asker.request(*claims))
            sent += 1
        try:
            while True:
                reply = out.recv(2000)
                asker = by_party.get(reply[8:24])
                came += asker is not None and asker.take(reply)
        except BlockingIOError:
            time.sleep(0.001)
    print(came, "of", sent)


if __name__ == "__main__":
    main(*sys.argv[1:])
