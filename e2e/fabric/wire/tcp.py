"""TCP inside a pod. `serve PORT` | `transfer HOST PORT BYTES` | `session HOST PORT`.

The first byte is the kind of the connection. T: 8 bytes of length, then that many bytes. The server answers
with one line: the client's address as the server sees it, and the SHA-256 of the bytes. Then it sends as many
bytes back. E: every line is echoed.
"""

import hashlib
import json
import os
import signal
import socket
import struct
import sys
import threading
import time

CHUNK = 65536


def read_exactly(connection, size, digest):
    left = size
    while left:
        data = connection.recv(min(left, CHUNK))
        if not data:
            raise ConnectionError(f"closed with {left} bytes to come")
        digest.update(data)
        left -= len(data)


def serve_transfer(connection, peer):
    size = struct.unpack("!Q", connection.recv(8, socket.MSG_WAITALL))[0]
    digest = hashlib.sha256()
    read_exactly(connection, size, digest)
    source = peer[0].removeprefix("::ffff:")
    connection.sendall(f"{source} {digest.hexdigest()}\n".encode())
    block = bytes(CHUNK)
    while size:
        size -= connection.send(block[:min(size, CHUNK)])


def serve_one(connection, peer):
    with connection:
        try:
            kind = connection.recv(1)
            if kind == b"T":
                serve_transfer(connection, peer)
            elif kind == b"E":
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                while data := connection.recv(CHUNK):
                    connection.sendall(data)
        except OSError as error:
            print(f"{peer}: {error}", flush=True)


def serve(port):
    server = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    print(f"listening on {port}", flush=True)
    while True:
        connection, peer = server.accept()
        threading.Thread(target=serve_one, args=(connection, peer), daemon=True).start()


def transfer(host, port, size):
    data = os.urandom(size)
    started = time.monotonic()
    with socket.create_connection((host, port), timeout=10) as connection:
        connection.sendall(b"T" + struct.pack("!Q", size) + data)
        answer = connection.makefile("rb")
        source, digest = answer.readline().decode().split()
        back = len(answer.read(size))
    print(json.dumps({"source": source, "intact": digest == hashlib.sha256(data).hexdigest(),
                      "back": back, "seconds": time.monotonic() - started}))


def session(host, port, patience):
    """One connection with a line every 10 ms until SIGTERM; then prints the result as JSON. An answer may
    take `patience` seconds."""
    over = []
    signal.signal(signal.SIGTERM, lambda *_: over.append(True))
    echoes, longest, error = 0, 0.0, None
    with socket.create_connection((host, port), timeout=patience) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(b"E")
        answers = connection.makefile("rb")
        print("connected", flush=True)
        while not over:
            line = f"{echoes}\n".encode()
            asked = time.monotonic()
            try:
                connection.sendall(line)
                if answers.readline() != line:
                    raise ConnectionError("the echo differs from the line")
            except OSError as failure:
                error = str(failure)
                break
            echoes += 1
            longest = max(longest, time.monotonic() - asked)
            time.sleep(0.01)
    print(json.dumps({"echoes": echoes, "longest_ms": longest * 1000, "error": error}), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]))
    elif sys.argv[1] == "transfer":
        transfer(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        session(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
