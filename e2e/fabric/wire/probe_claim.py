"""Makes claims as a party with a key of its own. It asks a gateway, and proves by the challenge that its
session is current. It prints the claims that each reply echoes, one JSON list per line.

    probe_claim.py FROM_ADDRESS FROM_PORT TO_ADDRESS DEVICE COUNT     on standard input: JSON with
        private, name, public (the gateway's), sender, claims ([cluster, node, family, ordinal, epoch]...)
"""

import json
import socket
import sys

from probe import NODE_PORT, Asker, claim, claims_in, pair_key, party_id, public_of


def main(source, port, target, device, count):
    given = json.load(sys.stdin)
    asker = Asker(pair_key(given["private"], given["public"]),
                  party_id(public_of(given["private"]), given["name"]), given["sender"])
    scope = socket.if_nametoindex(device) if target.startswith("fe80") else 0
    out = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    out.settimeout(0.5)
    out.bind((source, int(port), 0, scope))
    out.connect((target, NODE_PORT, 0, scope))
    for _ in range(int(count)):
        out.send(asker.request(*[claim(*one) for one in given["claims"]]))
        try:
            reply = out.recv(2000)
        except TimeoutError:
            continue
        if asker.take(reply):
            print(json.dumps(claims_in(reply)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
