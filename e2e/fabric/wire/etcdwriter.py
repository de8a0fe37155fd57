"""Writes numbered keys to an etcd cluster: `FILE URL...`, until SIGTERM. FILE gets a line per acknowledged
write: number, time (monotonic ns). If a member does not answer within a second, the next one is asked."""

import base64
import http.client
import json
import signal
import sys
import time
import urllib.parse

PATIENCE = 1.0


def put(url, number):
    where = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=PATIENCE)
    try:
        key = base64.b64encode(f"row/{number}".encode()).decode()
        connection.request("POST", "/v3/kv/put", json.dumps({"key": key, "value": key}))
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def main(path, *urls):
    over = []
    signal.signal(signal.SIGTERM, lambda *_: over.append(True))
    number, member = 0, 0
    with open(path, "w", encoding="ascii") as record:
        while not over:
            number += 1
            if put(urls[member], number):
                record.write(f"{number} {time.monotonic_ns()}\n")
                record.flush()
                time.sleep(0.01)
            else:
                member = (member + 1) % len(urls)


if __name__ == "__main__":
    main(*sys.argv[1:])
