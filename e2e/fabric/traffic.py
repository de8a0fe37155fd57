"""Traffic between machines and its results: pings, transfers, sessions, streams."""

import itertools
import json
import pathlib
import struct
import sys
from dataclasses import dataclass

from fabric.wait import wait_until

WIRE = pathlib.Path(__file__).parent / "wire"
PYTHON = sys.executable
TCP_PORT = 7000
MIB = 1 << 20

_stream_port = itertools.count(7100)


def ping(machine, address, size=56, df=False, source=None, timeout=1):
    """Whether one echo request with `size` bytes of payload is answered. df: never fragmented."""
    command = ["ping", "-n", "-q", "-c", "1", "-W", timeout, "-s", size]
    command += ["-M", "do"] if df else []
    command += ["-I", source] if source else []
    return machine.run(*command, address, check=False).returncode == 0


def largest_ping(machine, address, low=56, high=1472):
    """The largest payload that passes with DF set. Tries again while the path MTU is being learned."""
    while low < high:
        middle = (low + high + 1) // 2
        if any(ping(machine, address, middle, df=True) for _ in range(2)):
            low = middle
        else:
            high = middle - 1
    return low


def serve_tcp(machine):
    """Starts the server of transfers and sessions, unless it runs already."""
    if not any(p.name.endswith("/tcp") and p.alive() for p in machine.processes):
        server = machine.spawn("tcp", PYTHON, WIRE / "tcp.py", "serve", TCP_PORT)
        wait_until(lambda: "listening" in server.output(), 10, f"{server.name} listens")


@dataclass
class Transfer:
    source: str  # the client's address as the server saw it
    seconds: float


def transfer(machine, host, size=MIB, timeout=30):
    """Sends `size` bytes to the server at `host` and receives as many; checks every byte."""
    done = json.loads(machine.out(PYTHON, WIRE / "tcp.py", "transfer", host, TCP_PORT, size,
                                  timeout=timeout))
    assert done["intact"] and done["back"] == size, f"damaged on the way: {done}"
    return Transfer(done["source"], done["seconds"])


class Session:
    """One long TCP connection with a line every 10 ms, each answered within `patience` seconds. finish() has
    the result."""

    def __init__(self, machine, host, patience=30):
        self._patience = patience
        self._process = machine.spawn(f"session-{next(_stream_port)}", PYTHON, WIRE / "tcp.py",
                                      "session", host, TCP_PORT, patience)
        wait_until(lambda: "connected" in self._process.output(), 10, f"a session to {host}")

    def finish(self):
        """(echoes, longest wait for one in ms). Fails if the connection broke."""
        self._process.stop(self._patience + 10)
        told = json.loads(self._process.output().splitlines()[-1])
        assert told["error"] is None, f"the session broke after {told['echoes']} echoes: {told}"
        return told["echoes"], told["longest_ms"]


@dataclass
class StreamReport:
    received: int
    lost: int  # between the first and the last that arrived
    reordered: int
    outage_ms: float  # the longest time without a packet while some were due

    def __str__(self):
        return (f"outage {self.outage_ms:.0f} ms, {self.lost} lost, {self.reordered} reordered "
                f"of {self.received + self.lost}")


def report_of(records):
    """`records`: (number, sent ns, arrived ns) in the order of arrival."""
    reordered, outage, newest = 0, 0, None
    for number, sent, arrived in records:
        if newest is None:
            newest = (number, sent, arrived)
            continue
        if number < newest[0]:
            reordered += 1
            continue
        gap = arrived - newest[2]
        if number == newest[0] + 1:
            # No packet is missing in between: the delay counts, and not a sender that was late.
            gap -= sent - newest[1]
        outage = max(outage, gap)
        newest = (number, sent, arrived)
    numbers = {record[0] for record in records}
    expected = max(numbers) - min(numbers) + 1 if numbers else 0
    return StreamReport(len(numbers), expected - len(numbers), reordered, outage / 1e6)


class Stream:
    """UDP packets at a steady rate from one machine to a pod; stop() returns the report."""

    def __init__(self, source, target, address, folder, hertz=1000):
        port = next(_stream_port)
        self._file = pathlib.Path(folder) / f"stream-{port}"
        self._receiver = target.spawn(f"receive-{port}", PYTHON, WIRE / "stream.py", "receive",
                                      port, self._file)
        wait_until(self._file.exists, 10, "the stream's receiver starts")
        self._sender = source.spawn(f"send-{port}", PYTHON, WIRE / "stream.py", "send", address,
                                    port, hertz)
        wait_until(lambda: self._file.stat().st_size > 0, 15, f"the first packets reach {address}")

    def records(self):
        data = self._file.read_bytes()
        return list(struct.iter_unpack("!QQQ", data[:len(data) // 24 * 24]))

    def arrived(self):
        """The number of packets that the receiver has written down; it writes several times per second."""
        return self._file.stat().st_size // 24

    def stop(self):
        self._sender.stop()
        self._receiver.stop()
        return report_of(self.records())


def let_flow(*streams, packets=1000):
    """Waits until that many more packets have arrived on each stream, so that an outage is measured to its
    end."""
    ends = [stream.arrived() + packets for stream in streams]
    wait_until(lambda: all(stream.arrived() >= end for stream, end in zip(streams, ends)), 15,
               f"{packets} more packets arrive on each stream")
