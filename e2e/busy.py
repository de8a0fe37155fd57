"""A busy machine for `./dev flaky`: two endless loops, and a disk with small synchronous writes.

    busy.py FILE    writes to FILE until its parent has gone
"""

import contextlib
import os
import subprocess
import sys

BLOCK, BLOCKS = 4096, 1024
LOOP = ("setpriv", "--pdeathsig", "KILL", "sh", "-c", "while :; do :; done")


@contextlib.contextmanager
def busy_machine(path):
    """Everything in the `with` block runs beside the load. `path` is the file that is written to."""
    path.parent.mkdir(parents=True, exist_ok=True)
    load = [subprocess.Popen(command) for command in (LOOP, LOOP, (sys.executable, __file__, str(path)))]
    try:
        yield
    finally:
        for process in load:
            process.kill()
            process.wait()
        path.unlink(missing_ok=True)


def write_on(path):
    parent = os.getppid()
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    while os.getppid() == parent:
        for block in range(BLOCKS):
            os.pwrite(file, os.urandom(BLOCK), block * BLOCK)
            os.fdatasync(file)


if __name__ == "__main__":
    write_on(sys.argv[1])
