"""Writes down the clear packets from or to pods that reach this machine, one line each, until SIGTERM:

    TIME LINK SOURCE TARGET LENGTH      time in ns since 1970, as the kernel saw the packet

A filter in the kernel selects them by the outermost addresses (10.40.0.0/13, fd00:10::/32). Packets inside a
tunnel have other outer addresses, so this program sleeps while all is well.
"""

import ctypes
import ipaddress
import select
import signal
import socket
import struct

ALL_PROTOCOLS, OUTGOING = 3, 4
SO_ATTACH_FILTER, SO_TIMESTAMPNS = 26, 35
LOAD, LOAD_HALF, AND, EQUAL, RETURN = 0x20, 0x28, 0x54, 0x15, 0x06
PACKET_KIND = 0xfffff000 + 4
V4, V4_MASK, V6 = 0x0a280000, 0xfff80000, 0xfd000010
# (code, jump if true, jump if false, value); jumps are relative
FILTER = [
    (LOAD, 0, 0, PACKET_KIND), (EQUAL, 14, 0, OUTGOING),
    (LOAD_HALF, 0, 0, 12), (EQUAL, 0, 6, 0x0800),
    (LOAD, 0, 0, 26), (AND, 0, 0, V4_MASK), (EQUAL, 8, 0, V4),
    (LOAD, 0, 0, 30), (AND, 0, 0, V4_MASK), (EQUAL, 5, 6, V4),
    (EQUAL, 0, 5, 0x86dd),
    (LOAD, 0, 0, 22), (EQUAL, 2, 0, V6),
    (LOAD, 0, 0, 38), (EQUAL, 0, 1, V6),
    (RETURN, 0, 0, 128), (RETURN, 0, 0, 0),
]


def attach(sniffer):
    program = b"".join(struct.pack("HBBI", *step) for step in FILTER)
    buffer = ctypes.create_string_buffer(program)
    sniffer.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER,
                       struct.pack("HL", len(FILTER), ctypes.addressof(buffer)))


def addresses(frame):
    at, size = (26, 4) if frame[12:14] == b"\x08\x00" else (22, 16)
    return (ipaddress.ip_address(frame[at:at + size]),
            ipaddress.ip_address(frame[at + size:at + 2 * size]))


def seen_at(ancillary):
    for _, kind, data in ancillary:
        if kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = struct.unpack("qq", data[:16])
            return seconds * 1_000_000_000 + nanoseconds
    return 0


def main():
    over = []
    signal.signal(signal.SIGTERM, lambda *_: over.append(True))
    sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS))
    attach(sniffer)
    while select.select([sniffer], [], [], 0)[0]:
        sniffer.recv(1)  # a packet from before the filter
    sniffer.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    sniffer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 23)
    print("listening", flush=True)
    while True:
        if not select.select([sniffer], [], [], 0 if over else 0.5)[0]:
            if over:
                return
            continue
        frame, ancillary, _, where = sniffer.recvmsg(128, 64)
        source, target = addresses(frame)
        print(seen_at(ancillary), where[0], source, target, len(frame), flush=True)


if __name__ == "__main__":
    main()
