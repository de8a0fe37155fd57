"""The measurements of one pair. Each returns {name: number}."""

import subprocess
import threading
import time

from fabric.pair import PORT
from fabric.traffic import PYTHON


def percentile(ordered, share):
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def gbits(result, key="sum_received"):
    return result["end"][key]["bits_per_second"] / 1e9


def tcp(pair, seconds):
    before = pair.cpu_seconds()
    one = pair.iperf(seconds)
    spent = pair.cpu_seconds() - before
    found = {"tcp1": gbits(one)}
    if pair.processes:
        found["cpu"] = spent / (one["end"]["sum_received"]["bytes"] / 2**30)
    found["tcp4"] = gbits(pair.iperf(seconds, "-P", 4))
    both = pair.iperf(seconds, "--bidir")
    found["both"] = gbits(both) + gbits(both, "sum_received_bidir_reverse")
    return found


def small_packets(pair, seconds):
    """64-byte datagrams as fast as the sender can: those that arrive, per second. The receive buffer is
    large, or the receiving process would be the limit."""
    end = pair.iperf(seconds, "-u", "-b", "0", "-l", "64", "-w", "4M")["end"]["sum"]
    return {"pps": end["packets"] * (1 - end["lost_percent"] / 100) / end["seconds"] / 1e3}


def latency(pair, seconds):
    idle = pair.ping(int(seconds * 500), 0.002)
    found = {"idle50": percentile(idle, 0.5), "idle99": percentile(idle, 0.99),
             "idle999": percentile(idle, 0.999)}
    load = threading.Thread(target=pair.iperf, args=(seconds + 1,))
    load.start()
    time.sleep(0.5)
    busy = pair.ping(int(seconds * 200), 0.005)
    load.join()
    found.update({"load50": percentile(busy, 0.5), "load99": percentile(busy, 0.99),
                  "load999": percentile(busy, 0.999)})
    return found


def memory(pair, peers=1000):
    """Resident memory of one end with one peer and with many."""
    found = {"rss1": pair.resident_mib()}
    host = pair.hosts[0]
    add(host, [f"[Peer]\nPublicKey = {key}\nAllowedIPs = 10.{100 + n // 250}.{n % 250}.0/24\n"
               for n, key in enumerate(keys(peers))])
    time.sleep(0.3)
    found["rss1000"] = pair.resident_mib()
    return found


def add(host, peers):
    """Adds peers in portions that the socket of every implementation takes."""
    for at in range(0, len(peers), 20):
        host.run("wg", "addconf", "wg0", "/dev/stdin", stdin="".join(peers[at:at + 20]), timeout=60)


def keys(count):
    """Public keys. They need no private ones here: any 32 bytes are a point."""
    import base64
    import hashlib
    for n in range(count):
        yield base64.b64encode(hashlib.sha256(b"peer %d" % n).digest()).decode()


def handshakes(pair, program, seconds):
    """Handshakes per second that the right end answers, from 1,000 initiators on the left, and the CPU time
    of one."""
    left, right = pair.hosts
    lines = left.out(program, "keys", 1000).split()
    add(right, [f"[Peer]\nPublicKey = {key}\n" for key in lines])
    before = pair.cpu_seconds()
    answer = float(left.out(program, "run", pair.keys[1][1], "192.0.2.2:51820", 1000, seconds,
                            timeout=seconds + 60))
    spent = pair.cpu_seconds() - before  # the right end's: the left end's WireGuard is idle
    found = {"handshakes": answer / 1e3}
    if answer > 0:
        found["handshake_cpu"] = spent / (answer * seconds) * 1e6
    return found


def rate(pair, seconds):
    """Gbit/s of one TCP flow; 0 if it cannot connect."""
    try:
        return gbits(pair.iperf(seconds, "--connect-timeout", 2000))
    except (RuntimeError, ValueError, subprocess.TimeoutExpired):
        return 0.0


SINK = PORT + 1
BIND = f"import socket,time; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', {SINK})); time.sleep(600)"


def flood(pair, program, seconds):
    """One TCP flow through the tunnel beside strangers' initiations, and beside data messages of no session,
    as fast as one process sends them. The result is a share of the flow alone. The flooder takes its share of
    the CPU even if no program answers it; the same flood at a socket that no program reads shows that share."""
    left, right = pair.hosts
    found, alone = {}, gbits(pair.iperf(seconds))
    lasts = seconds + 5
    sink = right.spawn("sink", PYTHON, "-c", BIND)
    initiations, garbage = ("flood", pair.keys[1][1]), ("garbage",)
    for name, what, port in (("garbage_sink", garbage, SINK), ("garbage", garbage, PORT),
                             ("flood_sink", initiations, SINK), ("flood", initiations, PORT)):
        sent = []
        stranger = threading.Thread(target=lambda what=what, port=port, sent=sent: sent.append(left.out(
            program, *what, f"192.0.2.2:{port}", lasts, timeout=seconds + 60)))
        stranger.start()
        time.sleep(1)
        flow = rate(pair, seconds)
        # A flow that ends after the flood was not beside it.
        found[name] = flow / alone * 100 if stranger.is_alive() else 0.0
        stranger.join()
        found[f"{name}_rate"] = int(sent[0].split()[0]) / lasts / 1e3
    sink.kill()
    return found
