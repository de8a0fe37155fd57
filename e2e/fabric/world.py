"""The world of one run: a folder, a WAN router and the clusters around it."""

import os
import pathlib
import shutil
import subprocess
import tempfile

from fabric.machine import Machine
from fabric.watch import Watch

JANITOR = 'cat > /dev/null; rm -rf -- "$0"'


class World:
    """Use with `with`. At its end, or when this process dies, everything in it is removed."""

    def __init__(self, build):
        self.build = pathlib.Path(build).resolve()  # the folder of the daemons' binaries
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="causeway-e2e-"))
        self.folder.chmod(0o755)
        # The janitor's standard input ends when this process ends, even by SIGKILL. The janitor then removes
        # the folder. Machines end by themselves (machine.py).
        self._janitor = subprocess.Popen(["sh", "-c", JANITOR, str(self.folder)],
                                         stdin=subprocess.PIPE, start_new_session=True)
        self.machines = {}
        self.clusters = {}
        self.wan = self.machine("wan")
        self.wan.sysctl(net__ipv4__ip_forward=1, net__ipv6__conf__all__forwarding=1)
        self.watch = Watch(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def program(self, name):
        """The path of one of our binaries, wherever the build put it."""
        for candidate in (self.build / name, *sorted(self.build.glob(f"*/{name}"))):
            if candidate.is_file() and os.access(candidate, os.X_OK):
                return candidate
        raise FileNotFoundError(f"{name} is not in {self.build}: build it first")

    def machine(self, name, resolv_conf=None):
        assert name not in self.machines, f"there is a machine {name} already"
        self.machines[name] = Machine(name, self.folder, resolv_conf)
        return self.machines[name]

    def link(self, a, a_name, b, b_name, mtu=1500):
        """A cable: a veth pair with one end inside each machine."""
        subprocess.run(["ip", "link", "add", "name", a_name, "mtu", str(mtu), "netns", str(a.pid),
                        "type", "veth", "peer", "name", b_name, "mtu", str(mtu), "netns",
                        str(b.pid)], check=True)

    def logs(self, lines=40):
        """The ends of all logs, for a failure report."""
        parts = []
        for log in sorted(self.folder.glob("*.log")):
            text = log.read_text(errors="replace").splitlines()
            if text:
                parts.append(f"--- {log.name} (last {min(lines, len(text))} of {len(text)} lines)")
                parts += text[-lines:]
        return "\n".join(parts)

    def close(self):
        for machine in self.machines.values():
            machine.remove()
        if os.environ.get("CAUSEWAY_E2E_KEEP"):
            shutil.copytree(self.folder, str(self.folder) + ".kept", symlinks=True,
                            ignore=lambda folder, names: [n for n in names if n.startswith("pg")])
            print(f"kept: {self.folder}.kept")
        self._janitor.stdin.close()
        self._janitor.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)
