"""Two hosts on one cable with a tunnel between them, or without (raw veth)."""

import os
import pathlib
import re
import subprocess
import time

from fabric.wait import wait_until

MTU = 1420


class Pair:
    """`implementation` is what both ends run, or a pair of two; None: no tunnel."""

    def __init__(self, world, implementation):
        ends = implementation if isinstance(implementation, tuple) else (implementation,) * 2
        self.hosts = [world.machine("left"), world.machine("right")]
        world.link(self.hosts[0], "eth0", self.hosts[1], "eth0")
        self.processes = []
        self.keys = []
        for n, host in enumerate(self.hosts, 1):
            host.ip(f"addr add 192.0.2.{n}/24 dev eth0\naddr add 2001:db8::{n}/64 dev eth0 nodad\n"
                    "link set eth0 up")
        self.address = "192.0.2.2"
        self.device = "eth0"
        if ends[0] is None:
            return
        self.address, self.device = "10.9.0.2", "wg0"
        self.processes = [end.start(host, "wg0") for end, host in zip(ends, self.hosts)]
        for host in self.hosts:
            wait_until(lambda host=host: host.run("wg", "show", "wg0", check=False).returncode == 0, 10,
                       "the device answers")
            private = host.out("wg", "genkey").strip()
            self.keys.append((private, host.out("wg", "pubkey", stdin=private).strip()))
        for n, host in enumerate(self.hosts):
            other = 1 - n
            host.run("wg", "set", "wg0", "listen-port", 51820, "private-key", "/dev/stdin", "peer",
                     self.keys[other][1], "endpoint", f"192.0.2.{other + 1}:51820", "allowed-ips",
                     f"10.9.0.{other + 1}/32,fd09::{other + 1}/128", stdin=self.keys[n][0])
            host.ip(f"addr add 10.9.0.{n + 1}/24 dev wg0\naddr add fd09::{n + 1}/64 dev wg0 nodad\n"
                    f"link set wg0 mtu {MTU} up")
        wait_until(lambda: self.hosts[0].run("ping", "-c", 1, "-W", 1, self.address, check=False)
                   .returncode == 0, 10, "the tunnel is up")

    def close(self, world):
        for process in self.processes:
            process.kill()
        for host in self.hosts:
            del world.machines[host.name]
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

    def iperf(self, seconds, *options):
        """Runs iperf3 from left to right; its JSON."""
        import json
        with Server(self.hosts[1]):
            done = self.hosts[0].run("iperf3", "-J", "-c", self.address, "-t", seconds, *options,
                                     timeout=seconds + 30, check=False)
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


class Server:
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
