"""Watches the WAN of a world: no clear packet of a pod may leave a cluster that is paired with the pod's
cluster.

A cluster keeps the packets of a paired cluster's pods off the wire from the end of `pair`, which waits until
every node is closed. This ends with a deliberate unpair. The fabric calls begin() and end().
"""

import ipaddress
import time

from fabric.traffic import PYTHON, WIRE
from fabric.wait import wait_until


class Watch:
    def __init__(self, world):
        self._world = world
        self._process = world.wan.spawn("sniff", PYTHON, WIRE / "sniff.py")
        self._kept = {}  # (keeper's id, other's id) -> [[from ns, until ns or None], ...]
        self._judged = 0  # lines of the sniffer's log that were judged
        self._forged = set()
        self.clear = 0

    def begin(self, keeper, other):
        """From now on no packet of a pod of `other` may leave `keeper` in the clear."""
        wait_until(lambda: "listening" in self._process.output(), 10, "the sniffer listens")
        spans = self._kept.setdefault((keeper.id, other.id), [])
        if not spans or spans[-1][1] is not None:
            spans.append([time.time_ns(), None])

    def end(self, keeper, other):
        """`keeper` is about to unpair `other`: from now on its packets may leave in the clear."""
        for span in self._kept.get((keeper.id, other.id), []):
            span[1] = span[1] or time.time_ns()

    def forged(self, address):
        """An attacker on the WAN uses this address of no pod, so answers to it do not count."""
        self._forged.add(ipaddress.ip_address(address))

    def packets(self):
        """The number of packets that reached the WAN machine."""
        return sum(map(int, self._world.wan.sh(
            "cat /sys/class/net/*/statistics/rx_packets").split()))

    def seen(self):
        """Every clear packet of any pod so far, as the sniffer's lines."""
        written = self._process.output()
        whole = written[:written.rfind("\n") + 1]  # the last line may be half written
        return [line for line in whole.splitlines() if line[:1].isdigit()]

    def take_clear(self):
        """The packets since the last call that should not have been there."""
        assert self._process.alive(), f"the WAN sniffer ended: {self._process.output()[-2000:]}"
        return self._take()

    def finish(self):
        """Ends the sniffer and returns the last packets as take_clear() does."""
        if self._process.alive():
            self._process.stop()
        return self._take()

    def _take(self):
        lines = self.seen()
        fresh, self._judged = lines[self._judged:], len(lines)
        found = [line for line in fresh if self._is_clear(line)]
        self.clear += len(found)
        return found

    def _is_clear(self, line):
        at, link, source, target, _ = line.split()
        keeper = next((c for c in self._world.clusters.values() if c.id[:12] == link), None)
        ends = [ipaddress.ip_address(source), ipaddress.ip_address(target)]
        if keeper is None or self._forged.intersection(ends):
            return False
        for other in self._world.clusters.values():
            if other is keeper or not any(
                    end in ipaddress.ip_network(cidr) for end in ends for cidr in other.pod_cidrs):
                continue
            if any(since <= int(at) and (until is None or int(at) <= until)
                   for since, until in self._kept.get((keeper.id, other.id), [])):
                return True
        return False


def told(lines):
    """The text of a failure."""
    return (f"{len(lines)} clear packets of pods on the WAN (time, link, source, target, length):\n"
            + "\n".join(lines[:20]))
