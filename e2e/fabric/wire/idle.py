#!/usr/bin/python3
"""Opens TCP connections and sends nothing: idle.py HOST PORT COUNT SECONDS [SOURCES]. Opens connections again
that the other side closes. Prints "holding" after COUNT attempts. With SOURCES ("198.18.7.") each connection
comes from another of the addresses .1 to .250."""

import resource
import select
import socket
import sys
import time

host, port, count, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
sources = sys.argv[5] if len(sys.argv) > 5 else None
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
poll = select.poll()
held = {}
end = time.monotonic() + seconds
tried = 0
while time.monotonic() < end:
    for _ in range(min(200, count - len(held))):
        one = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        one.setblocking(False)
        if sources:
            one.bind((f"{sources}{tried % 250 + 1}", 0))
        one.connect_ex((host, port))
        held[one.fileno()] = one
        poll.register(one, select.POLLIN)
        tried += 1
    if count <= tried < count + 200:
        print("holding", flush=True)
        tried += 200
    for number, _ in poll.poll(20):
        poll.unregister(number)
        held.pop(number).close()
