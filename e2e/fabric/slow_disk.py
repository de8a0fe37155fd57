"""A disk that stalls, for daemons: a preloaded library whose fsync waits as long as a file says."""

import subprocess

from fabric.traffic import WIRE


class SlowDisk:
    """One per world. `env` is for Daemon.env; stall(0) ends the stall."""

    def __init__(self, world):
        self._told = world.folder / "slow-fsync"
        library = world.folder / "slow_fsync.so"
        if not library.exists():
            subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, WIRE / "slow_fsync.c"],
                           check=True)
        self.env = {"LD_PRELOAD": str(library), "SLOW_FSYNC": str(self._told)}
        self.stall(0)

    def stall(self, milliseconds):
        self._told.write_text(f"{milliseconds}\n")
