"""One long-running process inside a machine, with its output in a file."""

import os
import pathlib
import signal
import subprocess

from fabric.wait import wait_until


def child_of(pid):
    """The first child of `pid`, or None."""
    try:
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return None
    return int(children[0]) if children else None


class Process:
    """Started by Machine.spawn. Signals go to the program itself, not to the nsenter around it."""

    def __init__(self, name, popen, log):
        self.name = name
        self.log = pathlib.Path(log)
        self._popen = popen
        self._pid = None

    @property
    def pid(self):
        """The PID in the host's namespace; waits until nsenter has forked."""
        if self._pid is None:
            wait_until(lambda: child_of(self._popen.pid) or self._popen.poll() is not None, 10,
                       f"{self.name} starts")
            self._pid = child_of(self._popen.pid)
        return self._pid

    def alive(self):
        return self._popen.poll() is None

    def signal(self, number):
        if self.alive() and self.pid:
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                pass

    def wait(self, deadline):
        """Returns the exit code; negative for a signal."""
        return self._popen.wait(deadline)

    def stop(self, deadline=15):
        """Sends SIGTERM and returns the exit code. A process that ignores it is killed and reported."""
        self.signal(signal.SIGTERM)
        try:
            return self._popen.wait(deadline)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not stop within {deadline} s") from None

    def kill(self):
        self.signal(signal.SIGKILL)
        return self._popen.wait(10)

    def end_wrapper(self):
        """Ends the nsenter of a program that was killed while it was paused: nsenter would stay stopped."""
        if self.alive():
            self._popen.kill()
            self._popen.wait(10)

    def pause(self):
        self.signal(signal.SIGSTOP)

    def resume(self):
        # nsenter stops together with its child and passes SIGCONT on.
        if self.alive():
            os.kill(self._popen.pid, signal.SIGCONT)
            os.kill(self.pid, signal.SIGCONT)

    def resident_kib(self):
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise AssertionError(f"{self.name} has no VmRSS")

    def output(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""
