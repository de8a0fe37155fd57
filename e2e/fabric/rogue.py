"""A compromised gateway: a foreign WireGuard with the gateway's own key, and its attempts through the tunnel."""

import base64
import ipaddress

from fabric.traffic import PYTHON
from fabric.wait import wait_until

LINK = "cw-wg"
TABLE = 100
CONNECT = """
import socket, sys
source, source_port, target, port = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
out = socket.socket(socket.AF_INET6 if ":" in target else socket.AF_INET)
out.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
out.settimeout(1)
if source or source_port:
    out.bind((source, source_port))
out.connect((target, port))
"""


def opens(machine, target, port, source="", source_port=0):
    """Whether a TCP connection from this source opens within a second."""
    return machine.run(PYTHON, "-c", CONNECT, source, source_port, target, port,
                       check=False).returncode == 0


def gateway_object(site, ordinal=0):
    return next(g for g in site.store.list("TunnelGateway") if g["spec"]["ordinal"] == ordinal)


def control_address(site, ordinal=0):
    return gateway_object(site, ordinal)["spec"]["controlAddress"]


def probe_address(site, ordinal=0):
    """The IPv4 address of a gateway inside the tunnels."""
    shown = site.cluster.gateway_nodes[ordinal].machine.out("ip", "-4", "-o", "address", "show", "dev",
                                                            LINK)
    return shown.split()[3].split("/")[0]


def private_key(site, ordinal=0):
    """The gateway's private key, from the Secret that has it."""
    public = gateway_object(site, ordinal)["spec"]["publicKey"]
    machine = site.cluster.gateway_nodes[ordinal].machine
    for secret in site.store.list("Secret"):
        for value in secret.get("data", {}).values():
            for text in (value, base64.b64decode(value).decode(errors="replace").strip()):
                shown = machine.run("wg", "pubkey", stdin=text, check=False)
                if shown.returncode == 0 and shown.stdout.strip() == public:
                    return text
    raise AssertionError(f"no Secret of {site.id} has the key of gateway {ordinal}")


class RogueGateway:
    """Takes the place of a site's gateway on its node. Causeway's programs and rules are gone there. The
    tunnel to the victim's gateway continues with the same key and accepts any packet."""

    def __init__(self, site, *victims, ordinal=0):
        self.site, self.node = site, site.cluster.gateway_nodes[ordinal]
        self.machine = self.node.machine
        self._aimed = set()
        key = private_key(site, ordinal)
        site.causeway.agent_of(self.node).kill()
        site.causeway.gateways[ordinal].kill()
        wait_until(lambda: LINK not in self.machine.out("ip", "link"), 10, "the device is gone")
        self.machine.run("nft", "flush", "ruleset")
        # All machines share one host: the rogue must not win by taking the victims' processor time.
        self.machine.spawn("rogue", "nice", "-n", 19, "wireguard-go", "-f", LINK)
        wait_until(lambda: self.machine.run("wg", "show", LINK, check=False).returncode == 0, 10,
                   "the rogue's tunnel device is there")
        self.machine.run("wg", "set", LINK, "private-key", "/dev/stdin", stdin=key)
        self.machine.run("wg", "set", LINK, "listen-port", site.causeway.gateways[ordinal].config.get(
            "listenPort", 4500))
        for victim in victims:
            for gateway in victim.store.list("TunnelGateway"):
                spec = gateway["spec"]
                # With one victim any address may be sent to. With several victims each has its own addresses.
                pods = victim.cluster.pod_cidrs if spec["ordinal"] == 0 else []
                inside = "0.0.0.0/0,::/0" if len(victims) == 1 else ",".join(
                    [*pods, f"{spec['controlAddress']}/128"])
                self.machine.run("wg", "set", LINK, "peer", spec["publicKey"], "endpoint",
                                 spec["endpoints"][0], "persistent-keepalive", 1, "allowed-ips",
                                 inside)
        self.machine.run("ip", "link", "set", LINK, "mtu", 1420, "up")

    def aim(self, target):
        """Sends packets for this address into the tunnel."""
        if target in self._aimed:
            return
        self._aimed.add(target)
        version = ipaddress.ip_address(target).version
        self.machine.run("ip", f"-{version}", "route", "replace", target, "dev", LINK, "table", TABLE)
        self.machine.run("ip", f"-{version}", "rule", "add", "pref", 50, "to", target, "lookup", TABLE)

    def source(self, target):
        """An address of ours that the victim's tunnel accepts, of the target's family."""
        return self.node.bridge_ip6 if ":" in target else self.node.bridge_ip
