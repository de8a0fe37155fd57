"""Counts the frames that this host receives and that contain a text, on every device.

    catch.py TEXT            prints "listening", and the count whenever it has grown
"""

import select
import socket
import sys
import time

ALL_PROTOCOLS = 3
OUTGOING = 4


def main(text):
    wanted = text.encode()
    sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS))
    sniffer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
    print("listening", flush=True)
    seen = told = 0
    last = time.monotonic()
    while True:
        ready, _, _ = select.select([sniffer], [], [], 0.1)
        if ready:
            frame, where = sniffer.recvfrom(65535)
            seen += where[2] != OUTGOING and wanted in frame
        if seen != told and time.monotonic() - last > 0.05:
            print(seen, flush=True)
            told, last = seen, time.monotonic()


if __name__ == "__main__":
    main(*sys.argv[1:])
