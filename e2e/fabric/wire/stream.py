"""A steady UDP stream. `send HOST PORT HZ` | `receive PORT FILE`, both until SIGTERM.

A packet has its number and the time of sending (CLOCK_MONOTONIC, ns; one host, so one clock). The receiver
writes a record per packet: number, sent, arrived (3 x uint64).
"""

import signal
import socket
import struct
import sys
import time

PACKET = struct.Struct("!QQ")
RECORD = struct.Struct("!QQQ")


def family_of(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def send(host, port, hertz):
    over = []
    signal.signal(signal.SIGTERM, lambda *_: over.append(True))
    out = socket.socket(family_of(host), socket.SOCK_DGRAM)
    period = 1_000_000_000 // hertz
    number, started = 0, time.monotonic_ns()
    while not over:
        wait = started + number * period - time.monotonic_ns()
        if wait > 0:
            time.sleep(wait / 1e9)
        try:
            out.sendto(PACKET.pack(number, time.monotonic_ns()), (host, port))
        except OSError:
            pass  # no route now: the packet is lost, and the receiver counts it so
        if number == 0:
            print("sending", flush=True)
        number += 1
    print(f"sent {number}", flush=True)


def receive(port, path):
    over = []
    signal.signal(signal.SIGTERM, lambda *_: over.append(True))
    inlet = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    inlet.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    inlet.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    inlet.bind(("::", port))
    inlet.settimeout(0.05)
    with open(path, "wb") as records:
        while not over:
            try:
                data = inlet.recv(64)
            except TimeoutError:
                records.flush()
                continue
            arrived = time.monotonic_ns()
            if len(data) == PACKET.size:
                records.write(RECORD.pack(*PACKET.unpack(data), arrived))


if __name__ == "__main__":
    if sys.argv[1] == "send":
        send(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        receive(int(sys.argv[2]), sys.argv[3])
