"""West, compromised: the attacker has the keys of its gateways. The first gateway's tunnels to the victims
stand, and its feed is the attacker's program."""

import json

from fabric.rogue import LINK, RogueGateway, control_address, private_key
from fabric.traffic import PYTHON, WIRE
from fabric.wait import wait_until

FEED = 4798
# The rogue's behaviour, as arguments of the program `rogue_feed`.
MODES = {
    "changes 9,900 exports of 1 endpoint": ("exports=9900,1",),
    "changes 2,000 exports of 5 endpoints": ("exports=2000,5",),
    "announces 5,000 prefixes, one less, one more": ("announce=5000",),
    "announces 9,900 prefixes that are refused": ("refused=9900",),
    "sends a snapshot again and again": ("exports=5000,1", "restarts"),
}


class RogueFeed:
    """The first of west's gateways is the rogue's. The others are stopped, so that victims follow its feed."""

    def __init__(self, site, *victims):
        self.site, self.victims = site, victims
        self.key = private_key(site)
        self.control = control_address(site)
        self.gateway = RogueGateway(site, *victims)
        for other in site.causeway.gateways[1:]:
            other.kill()
        self.machine = self.gateway.machine
        self.machine.run("ip", "address", "add", f"{self.control}/128", "dev", LINK)
        for victim in victims:
            for ordinal in range(len(victim.causeway.gateways)):
                self.gateway.aim(control_address(victim, ordinal))
        self.process = None

    def speak(self, *modes):
        """Lets the rogue speak. Use with `with`."""
        callers = [f"{victim.id}/{g['spec']['ordinal']}={g['spec']['publicKey']}"
                   for victim in self.victims for g in victim.store.list("TunnelGateway")]
        gateways = [f"gateway={g['spec']['ordinal']},{g['spec']['publicKey']}"
                    for g in self.site.store.list("TunnelGateway")]
        return self._start(self._feed(), self.key, self.site.id, self.control, *callers, *gateways, *modes)

    def connect(self, victim):
        return self._start(self._feed(), self.key, f"connections=[{control_address(victim)}]:{FEED}", self.control)

    def flip(self, victim, hertz=2000):
        """Claims one node for the first gateway and for the second one in turn, at each gateway of the
        victim. The rate is that of all claims together. It answers the victims' probes, and the second
        gateway runs, so both gateways work."""
        second = self.site.causeway.gateways[1]
        second.start()
        wait_until(lambda: second.why_not_ready() == "", 30, "the second gateway runs")
        answered = [g["spec"] for one in self.victims for g in one.store.list("TunnelGateway")]
        flipped = [control_address(victim, n) for n in range(len(victim.causeway.gateways))]
        plan = {"private": self.key, "name": f"{self.site.id}/0", "ordinal": 0, "hertz": hertz,
                "node": self.site.pod.node.name, "flip": flipped,
                "gateways": {spec["controlAddress"]: spec["publicKey"] for spec in answered}}
        return self._start((PYTHON, WIRE / "claim_flips.py"), self.control, json.dumps(plan))

    def _feed(self):
        return (self.site.world.program("rogue_feed"),)

    def _start(self, program, *words):
        # All machines share one host: the rogue must not win by taking the victims' processor time.
        self.process = self.machine.spawn("rogue-feed", "nice", "-n", 19, *program, *words)
        wait_until(lambda: "speaking" in self.process.output(), 60, "the rogue speaks")
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        for other in self.site.causeway.gateways[1:]:
            if other.running():
                other.kill()
