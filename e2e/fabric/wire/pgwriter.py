"""Writes numbered rows through one psql at a time, as an application would: `CONNINFO FILE`, until SIGTERM.
FILE gets a line per acknowledged row: number, time (monotonic ns). If a server does not answer for three
seconds, the next one that takes writes is asked."""

import select
import signal
import subprocess
import sys
import time

PATIENCE = 3.0


def session(conninfo):
    return subprocess.Popen(["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", conninfo],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            bufsize=0)


def acknowledged(psql, number):
    """Whether the server reports that it has stored the row."""
    try:
        psql.stdin.write(f"INSERT INTO acked VALUES ({number}) RETURNING number;\n".encode())
        ready, _, _ = select.select([psql.stdout], [], [], PATIENCE)
        return bool(ready) and psql.stdout.readline().strip() == str(number).encode()
    except OSError:
        return False


def main(conninfo, path):
    over = []
    signal.signal(signal.SIGTERM, lambda *_: over.append(True))
    number, psql = 0, session(conninfo)
    with open(path, "w", encoding="ascii") as record:
        while not over:
            number += 1
            if acknowledged(psql, number):
                record.write(f"{number} {time.monotonic_ns()}\n")
                record.flush()
                continue
            psql.kill()
            psql.wait()
            time.sleep(0.05)
            psql = session(conninfo)
    psql.kill()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
