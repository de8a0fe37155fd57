#!/usr/bin/python3
"""Asks an HTTP server as fast as it can, pipelined: get_flood.py HOST PORT PATH CONNECTIONS SECONDS."""

import select
import socket
import sys
import time

host, port, path, count = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
end = time.monotonic() + float(sys.argv[5])
request = f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 20
poll = select.poll()
held = {}
asked = 0
print("flooding", flush=True)
while time.monotonic() < end:
    while len(held) < count:
        one = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        one.setblocking(False)
        one.connect_ex((host, port))
        held[one.fileno()] = one
        poll.register(one, select.POLLIN | select.POLLOUT)
    for number, events in poll.poll(20):
        one = held[number]
        try:
            if events & select.POLLIN and not one.recv(65536):
                raise OSError
            if events & select.POLLOUT:
                one.send(request)
                asked += 20
                poll.modify(one, select.POLLIN)
            if events & (select.POLLERR | select.POLLHUP):
                raise OSError
        except BlockingIOError:
            pass
        except OSError:
            poll.unregister(number)
            held.pop(number).close()
print(asked, flush=True)
