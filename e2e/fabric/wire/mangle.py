"""A bad network for one UDP flow: `mangle PORT TARGET_HOST TARGET_PORT LOSS DUPLICATE DELAY` relays datagrams
from PORT to the target and back. The given shares of datagrams are lost, sent twice, or held back for 1 to 20
ms so that others pass them. The random numbers are the same in each run."""

import heapq
import random
import select
import socket
import sys
import time


def main(port, target, loss, duplicate, delay):
    dice = random.Random(4)
    front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for one in (front, back):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    front.bind(("0.0.0.0", port))
    back.connect(target)
    client, held, count = None, [], 0
    print("relaying", flush=True)
    while True:
        wait = max(0.0, held[0][0] - time.monotonic()) if held else None
        for ready in select.select([front, back], [], [], wait)[0]:
            try:
                data, sender = ready.recvfrom(65536)
            except ConnectionRefusedError:
                continue
            if ready is front:
                client = sender
            if dice.random() < loss:
                continue
            for _ in range(2 if dice.random() < duplicate else 1):
                due = time.monotonic() + (dice.uniform(0.001, 0.02) if dice.random() < delay else 0)
                count += 1
                heapq.heappush(held, (due, count, ready is front, data))
        while held and held[0][0] <= time.monotonic():
            _, _, forth, data = heapq.heappop(held)
            if forth:
                back.send(data)
            elif client:
                front.sendto(data, client)


if __name__ == "__main__":
    main(int(sys.argv[1]), (sys.argv[2], int(sys.argv[3])), *map(float, sys.argv[4:7]))
