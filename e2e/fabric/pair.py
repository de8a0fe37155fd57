"""Two hosts on one cable, each with a WireGuard on it, or without any tunnel."""

import json
import os
import pathlib
import re
import subprocess
import time

from fabric.wait import wait_until

MTU = 1420
PORT = 51820


class Implementation:
    """A userspace WireGuard and how it is started in the foreground."""

    def __init__(self, name, command, env=None):
        self.name, self.command, self.env = name, command, env or {}

    def start(self, machine, interface):
        return machine.spawn(f"{self.name}.{interface}".replace(" ", "-"),
                             *[part.format(interface=interface) for part in self.command],
                             env=self.env)


QUIET = {"LOG_LEVEL": "error", "WG_PROCESS_FOREGROUND": "1",
         "WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD": "1"}


def engine(build, *options):
    return Implementation("engine",
                          [str(pathlib.Path(build) / "bin/engine_host"), "{interface}", *options])


def wireguard_go():
    return Implementation("wireguard-go (Debian)", ["wireguard-go", "-f", "{interface}"], QUIET)


class Pair:
    """`ends` are two Implementations; two Nones mean no tunnel. The outer addresses are 192.0.2.1 and .2,
    2001:db8::1 and ::2 (`outer` says which family is used). The inner ones are 10.9.0.1 and .2, fd09::1 and
    ::2."""

    def __init__(self, world, ends, name="", outer=4, psk=False, endpoints=None, keepalive=0):
        self.world, self.keepalive = world, keepalive
        self.hosts = [world.machine(name + side) for side in ("left", "right")]
        world.link(self.hosts[0], "eth0", self.hosts[1], "eth0")
        self.processes, self.keys = [], []
        for n, host in enumerate(self.hosts, 1):
            host.ip(f"addr add 192.0.2.{n}/24 dev eth0\naddr add 2001:db8::{n}/64 dev eth0 nodad\n"
                    "link set eth0 up")
        self.address = "192.0.2.2"
        if ends[0] is None:
            return
        self.address = "10.9.0.2"
        self.endpoints = endpoints or (
            [f"192.0.2.{n}:{PORT}" for n in (1, 2)] if outer == 4 else
            [f"[2001:db8::{n}]:{PORT}" for n in (1, 2)])
        self.psk = None
        try:
            self.start(ends, psk)
        except BaseException:
            self.close()
            raise

    def start(self, ends, psk):
        for end, host in zip(ends, self.hosts):
            self.processes.append(end.start(host, "wg0"))
        for host in self.hosts:
            wait_until(lambda host=host: host.run("wg", "show", "wg0", check=False).returncode == 0, 10,
                       "the device answers")
            private = host.out("wg", "genkey").strip()
            self.keys.append((private, host.out("wg", "pubkey", stdin=private).strip()))
        if psk:
            self.psk = self.hosts[0].out("wg", "genpsk").strip()
        for n in range(2):
            self.configure(n)

    def configure(self, n):
        """Configures host `n` from nothing; __init__ calls it."""
        host, other = self.hosts[n], 1 - n
        secret = f"PresharedKey = {self.psk}\n" if self.psk else ""
        host.run("wg", "setconf", "wg0", "/dev/stdin", stdin=(
            f"[Interface]\nPrivateKey = {self.keys[n][0]}\nListenPort = {PORT}\n"
            f"[Peer]\nPublicKey = {self.keys[other][1]}\n{secret}Endpoint = {self.endpoints[other]}\n"
            f"PersistentKeepalive = {self.keepalive}\n"
            f"AllowedIPs = 10.9.0.{other + 1}/32, fd09::{other + 1}/128\n"))
        host.ip(f"addr replace 10.9.0.{n + 1}/24 dev wg0\n"
                f"addr replace fd09::{n + 1}/64 dev wg0 nodad\nlink set wg0 mtu {MTU} up")

    def connect(self):
        wait_until(lambda: self.reaches(), 10, "the tunnel is up")
        return self

    def reaches(self, start=0, family=4, size=56):
        target = (f"10.9.0.{2 - start}", f"fd09::{2 - start}")[family == 6]
        return self.hosts[start].run("ping", "-n", "-q", "-c", 1, "-W", 1, "-s", size, target,
                                     check=False).returncode == 0

    def show(self, n):
        """`wg show dump` of host n's peer."""
        line = self.hosts[n].out("wg", "show", "wg0", "dump").splitlines()[1].split("\t")
        return {"endpoint": line[2], "handshake": int(line[4]), "rx": int(line[5]), "tx": int(line[6])}

    def close(self):
        for process in self.processes:
            process.kill()
        for host in self.hosts:
            del self.world.machines[host.name]
            host.remove()

    def cpu_seconds(self):
        ticks = os.sysconf("SC_CLK_TCK")
        total = 0.0
        for process in self.processes:
            fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) / ticks
        return total

    def resident_mib(self):
        return max(process.resident_kib() for process in self.processes) / 1024

    def iperf(self, seconds, *options, address=None):
        """Runs iperf3 from left to right. Returns its JSON."""
        with IperfServer(self.hosts[1]):
            done = self.hosts[0].run("iperf3", "-J", "-c", address or self.address, "-t", seconds,
                                     *options, timeout=seconds + 30, check=False)
        found = json.loads(done.stdout)
        if "error" in found:
            raise RuntimeError(found["error"])
        return found

    def ping(self, count, interval):
        """Round-trip times in ms, sorted; lost ones are infinite."""
        done = self.hosts[0].run("ping", "-n", "-i", interval, "-c", count, "-W", 1, self.address,
                                 check=False, timeout=count * interval * 3 + 30)
        times = [float(t) for t in re.findall(r"time=([0-9.]+) ms", done.stdout)]
        return sorted(times) + [float("inf")] * (count - len(times))


class IperfServer:
    def __init__(self, host):
        self.host = host

    def __enter__(self):
        self.process = self.host.spawn("iperf3", "iperf3", "-s", "-1")
        wait_until(lambda: ":5201" in self.host.out("ss", "-Hltn"), 10, "iperf3 listens")

    def __exit__(self, *_):
        if self.process.alive():
            try:
                self.process.wait(3)
            except subprocess.TimeoutExpired:
                self.process.kill()
        time.sleep(0.05)
