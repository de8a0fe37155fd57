"""A gateway that claims one node for gateway 0 and for gateway 1 in turn, at the given rate. It answers the
probes of the gateways in the plan, so it works for them. It has the key of a real gateway.

    claim_flips.py CONTROL_ADDRESS PLAN     PLAN: JSON with private, name, ordinal (its own), node, hertz,
                                            gateways (public key by control address), flip (addresses)
"""

import json
import select
import socket
import sys
import time

from probe import REPLY, REQUEST, TUNNEL_PORT, Asker, claim, pair_key, party_id, public_of, sealed

EPOCH = 2 ** 32  # the highest epoch; of equal ones the first gateway's claim counts


def reply_to(request, key):
    """The reply to an authentic request; None for anything else."""
    if len(request) < 80 or request[5] != REQUEST or request != sealed(request[:-16], key):
        return None
    head = bytearray(request[:64])
    head[5] = REPLY
    head[48:56] = bytes(8)  # no challenge
    head[60:62] = bytes(2)  # no clusters, no claims
    return sealed(bytes(head), key)


def main(address, plan):
    plan = json.loads(plan)
    keys = {to: pair_key(plan["private"], public) for to, public in plan["gateways"].items()}
    party = party_id(public_of(plan["private"]), plan["name"])
    askers = {to: Asker(keys[to], party, plan["ordinal"]) for to in plan["flip"]}
    claims = [claim("", plan["node"], 4, ordinal, EPOCH) for ordinal in (0, 1)]
    out = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    out.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    out.setblocking(False)
    out.bind((address, TUNNEL_PORT))
    print("speaking", flush=True)
    targets = list(askers)
    began, flips = time.monotonic(), 0
    while True:
        try:
            while True:
                datagram, source = out.recvfrom(2000)
                asker, key = askers.get(source[0]), keys.get(source[0])
                if key is None or len(datagram) < 80:
                    continue
                if datagram[5] == REPLY:  # checking its tag costs more than it is worth here
                    if asker is not None:
                        asker.challenge = int.from_bytes(datagram[48:56], "big")
                    continue
                answer = reply_to(datagram, key)
                if answer is not None:
                    out.sendto(answer, source[:2])
        except BlockingIOError:
            pass
        due = min(int((time.monotonic() - began) * plan["hertz"]), flips + 100)
        for flips in range(flips + 1, due + 1):
            to = targets[flips % len(targets)]
            try:
                out.sendto(askers[to].request(claims[flips // len(targets) % 2]), (to, TUNNEL_PORT))
            except BlockingIOError:
                break
        select.select([out], [], [], 0.002)


if __name__ == "__main__":
    main(*sys.argv[1:])
