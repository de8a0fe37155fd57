"""West's only gateway, compromised: its tunnels to the victims stand, and its feed is a program of the attacker's."""

from fabric.rogue import LINK, RogueGateway, control_address, private_key
from fabric.wait import wait_until

FEED = 4798
# What the rogue says, as arguments of the program `rogue_feed`.
MODES = {
    "changes 9,900 exports of 1 endpoint": ("exports=9900,1",),
    "changes 2,000 exports of 5 endpoints": ("exports=2000,5",),
    "announces 5,000 prefixes, one less, one more": ("announce=5000",),
    "announces 9,900 prefixes that are refused": ("refused=9900",),
    "sends a snapshot again and again": ("exports=5000,1", "restarts"),
}


class RogueFeed:
    """West's only gateway, compromised: its tunnels to the victims stand, its feed is the rogue's."""

    def __init__(self, site, *victims):
        self.site, self.victims = site, victims
        self.key = private_key(site)
        self.control = control_address(site)
        self.gateway = RogueGateway(site, *victims)
        self.machine = self.gateway.machine
        self.machine.run("ip", "address", "add", f"{self.control}/128", "dev", LINK)
        for victim in victims:
            self.gateway.aim(control_address(victim))
        self.process = None

    def speak(self, *modes):
        """Use with `with`."""
        callers = [f"{victim.id}/{g['spec']['ordinal']}={g['spec']['publicKey']}"
                   for victim in self.victims for g in victim.store.list("Gateway")]
        return self._start(self.key, self.site.id, self.control, *callers, *modes)

    def connect(self, victim):
        return self._start(self.key, f"connections=[{control_address(victim)}]:{FEED}", self.control)

    def _start(self, *words):
        # Everything is on one host: the rogue must not win by taking the victims' processors.
        self.process = self.machine.spawn("rogue-feed", "nice", "-n", 19,
                                          self.site.world.program("rogue_feed"), *words)
        wait_until(lambda: "speaking" in self.process.output(), 60, "the rogue speaks")
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
