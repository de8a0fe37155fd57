"""Asks a DNS server for the A records of a name every 2 ms until there are some.

`resolve.py SERVER NAME SECONDS` prints the CLOCK_MONOTONIC time (ns) of the first answer with records. The
exit code is 1 if there was none in time.
"""

import socket
import struct
import sys
import time


def question(name):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!6H", 1, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", 1, 1)


def main(server, name, seconds):
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    out.connect((server, 53))
    out.settimeout(0.02)
    asked = question(name)
    print("asking", flush=True)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            out.send(asked)
            answer = out.recv(4096)
        except OSError:
            continue
        _, flags, _, count = struct.unpack("!4H", answer[:8])
        if flags & 15 == 0 and count > 0:
            print(time.monotonic_ns(), flush=True)
            return 0
        time.sleep(0.002)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
