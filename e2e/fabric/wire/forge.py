"""Sends IP packets as they are, forged source addresses included.

    forge.py COUNT HERTZ     one packet per line as hex on standard input; each is sent COUNT times
"""

import ipaddress
import socket
import sys
import time


def sender():
    """A function that sends one whole IP packet of either family."""
    four = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    six = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)

    def send(packet):
        try:
            if packet[0] >> 4 == 4:
                four.sendto(packet, (socket.inet_ntoa(packet[16:20]), 0))
            else:
                six.sendto(packet, (str(ipaddress.ip_address(packet[24:40])), 0))
            return True
        except OSError as error:  # no route, or this host's filter: the packet is not sent
            print(f"not sent: {error}", file=sys.stderr)
            return False
    return send


def main(count, hertz):
    packets = [bytes.fromhex(line) for line in sys.stdin.read().split()]
    send, sent, began = sender(), 0, time.monotonic()
    for n in range(int(count)):
        for m, packet in enumerate(packets):
            due = began + (n * len(packets) + m) / float(hertz)
            time.sleep(max(0.0, due - time.monotonic()))
            sent += send(packet)
    print("sent", sent)


if __name__ == "__main__":
    main(*sys.argv[1:])
