"""A DNS server outside of all clusters, for the names of gateways."""

from fabric.traffic import PYTHON, WIRE

ADDRESS = "198.51.100.53"
LIMITS = "options timeout:2 attempts:1\n"  # the gateway sets the same for itself


class Names:
    """On the WAN. `put` replaces all addresses of a name."""

    def __init__(self, world):
        self.world, self._zone, self._known = world, world.folder / "zone", {}
        self._zone.write_text("")
        world.wan.ip(f"addr add {ADDRESS}/32 dev lo")
        self.process = None
        self.start()

    def start(self):
        self.process = self.world.wan.spawn("names", PYTHON, WIRE / "names.py", ADDRESS, self._zone)

    def put(self, name, *addresses):
        self._known[name] = addresses
        fresh = self._zone.with_suffix(".new")
        fresh.write_text("".join(f"{host} {address}\n" for host, known in self._known.items()
                                 for address in known))
        fresh.rename(self._zone)

    def lose(self):
        """Packets to the server vanish: no answer and no refusal comes."""
        self.process.kill()
        self.world.wan.run("nft", "-f", "-", stdin=f"""
            table inet silence {{
              chain in {{ type filter hook input priority filter;
                ip daddr {ADDRESS} drop
              }}
            }}""")

    def recover(self):
        self.world.wan.run("nft", "delete", "table", "inet", "silence")
        self.start()

    def serve(self, cluster):
        """The cluster's nodes ask this server."""
        for node in cluster.nodes:
            node.resolv_conf.write_text(f"nameserver {ADDRESS}\n{LIMITS}")
