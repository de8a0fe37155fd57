"""A machine: a host of its own, made of namespaces (network, mount, PID, UTS, IPC).

Its first process is a holder that only reaps. All processes inside belong to the holder's PID namespace, so
the kernel ends them together with the holder. The holder has a parent-death signal. So everything inside ends
with the process that made the machine, however that ends, including the network namespace and all its links.
"""

import os
import pathlib
import subprocess

from fabric.process import Process, child_of

# Runs as PID 1. /run is private because WireGuard's control sockets are in it, in one folder per host.
HOLDER = """
set -e
mount -t sysfs sysfs /sys
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/wireguard /run/lock
hostname "$0"
if [ -n "$1" ]; then mount --bind "$1" /etc/resolv.conf; fi
# No waiting for duplicate address detection: no other host is on these links.
echo 0 > /proc/sys/net/ipv6/conf/all/accept_dad
echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad
ip link set lo up
echo ready
exec >/dev/null
while :; do sleep 3600 & wait; done
"""


class Failed(AssertionError):
    """A command inside a machine ended with an error."""


class Machine:
    def __init__(self, name, folder, resolv_conf=None):
        """`folder` takes the logs; `resolv_conf` is a file that becomes /etc/resolv.conf."""
        self.name = name
        self.folder = pathlib.Path(folder)
        self.processes = []
        self._holder = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--mount", "--pid", "--uts",
             "--ipc", "--fork", "--kill-child", "--mount-proc", "sh", "-c", HOLDER, name,
             str(resolv_conf or "")],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True)
        if self._holder.stdout.readline().strip() != "ready":
            raise Failed(f"machine {name} did not start (root is needed)")
        self.pid = child_of(self._holder.pid)

    def _enter(self, command, tied):
        enter = ["nsenter", "--target", str(self.pid), "--net", "--mount", "--pid", "--uts",
                 "--ipc", "--"]
        if tied:  # the process ends with nsenter, so that a timeout ends it
            enter += ["setpriv", "--pdeathsig", "KILL"]
        return enter + [str(part) for part in command]

    def run(self, *command, check=True, timeout=30, stdin=None):
        """Runs a command until it ends. Returns a CompletedProcess with text output."""
        done = subprocess.run(self._enter(command, tied=True), input=stdin, text=True,
                              stdin=None if stdin is not None else subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout,
                              check=False)
        if check and done.returncode != 0:
            shown = " ".join(str(part) for part in command)
            raise Failed(f"{self.name}: {shown}: exit code {done.returncode}\n"
                         f"{done.stdout}{done.stderr}")
        return done

    def out(self, *command, **options):
        return self.run(*command, **options).stdout

    def sh(self, script, **options):
        return self.run("sh", "-ec", script, **options).stdout

    def ip(self, lines):
        """Applies lines of `ip` commands in one batch."""
        self.run("ip", "-batch", "-", stdin=lines)

    def sysctl(self, **values):
        """Keys are written with `__` for `.`: sysctl(net__ipv4__ip_forward=1)."""
        for key, value in values.items():
            path = "/proc/sys/" + key.replace("__", "/")
            self.run("sh", "-ec", f'echo "{value}" > {path}')

    def spawn(self, name, *command, env=None):
        """Starts a process that runs until it ends, is stopped, or the machine ends."""
        log = self.folder / f"{self.name}.{name}.log"
        with open(log, "ab") as output:
            popen = subprocess.Popen(
                self._enter(command, tied=False), stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, env={**os.environ, **(env or {})},
                start_new_session=True)
        process = Process(f"{self.name}/{name}", popen, log)
        self.processes.append(process)
        return process

    def pids(self, program=None):
        """The host's PIDs of the processes inside, without the holder's own."""
        mine = os.readlink(f"/proc/{self.pid}/ns/pid")
        found = []
        for entry in os.listdir("/proc"):
            if not entry.isdigit() or int(entry) == self.pid:
                continue
            try:
                if os.readlink(f"/proc/{entry}/ns/pid") != mine:
                    continue
                name = pathlib.Path(f"/proc/{entry}/comm").read_text().strip()
            except OSError:
                continue
            if name == "sleep" or (program and name != program[:15]):
                continue
            found.append(int(entry))
        return found

    def remove(self):
        """Ends the holder; the kernel ends the rest."""
        if self._holder.poll() is None:
            self._holder.kill()
        self._holder.wait(10)
        for process in self.processes:
            process.end_wrapper()
        self._holder.stdout.close()
