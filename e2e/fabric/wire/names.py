"""A DNS server. Usage: names.py ADDRESS ZONE_FILE

Each line of the zone file is "NAME ADDRESS", and is read for each question. A name without a line does not exist.
"""

import ipaddress
import pathlib
import socket
import struct
import sys

KINDS = {1: 4, 28: 6}  # A, AAAA -> the version of the address


def question_of(query):
    """The name, and the bytes of the question."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode())
        at += 1 + query[at]
    return ".".join(labels).lower(), query[12:at + 5]


def answer(query, zone):
    name, question = question_of(query)
    kind, = struct.unpack("!H", question[-4:-2])
    lines = [line.split() for line in zone.read_text().splitlines()]
    known = [ipaddress.ip_address(address) for host, address in lines if host == name]
    found = [address for address in known if address.version == KINDS.get(kind)]
    flags = 0x8180 | (0 if known else 3)
    head = query[:2] + struct.pack("!HHHHH", flags, 1, len(found), 0, 0)
    records = b"".join(struct.pack("!HHHIH", 0xc00c, kind, 1, 5, len(address.packed)) + address.packed
                       for address in found)
    return head + question + records


def main():
    address, zone = sys.argv[1], pathlib.Path(sys.argv[2])
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, 53))
    while True:
        query, source = server.recvfrom(512)
        server.sendto(answer(query, zone), source)


main()
