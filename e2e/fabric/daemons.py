"""Causeway's daemons on a cluster: configuration files, start, stop, kill by name."""

import yaml

from fabric import objects
from fabric.wait import wait_until

GATEWAY, AGENT, DISCOVERY = "causeway-gateway", "causeway-routeagent", "causeway-discovery"


class Daemon:
    """One daemon on one machine. It can be started again after any end."""

    def __init__(self, world, machine, program, config, folder):
        self.world, self.machine, self.program = world, machine, program
        self.config = dict(config)
        self.config_file = folder / f"{machine.name}.{program}.yaml"
        self.process = None
        self.env = None  # further environment variables

    @property
    def name(self):
        return f"{self.machine.name}/{self.program}"

    def start(self):
        assert not self.running(), f"{self.name} runs already"
        self.config_file.write_text(yaml.safe_dump(self.config, sort_keys=False))
        self.process = self.machine.spawn(self.program, self.world.program(self.program),
                                          "--config", self.config_file, env=self.env)
        return self

    def running(self):
        return self.process is not None and self.process.alive()

    def stop(self):
        """A planned stop. Returns the exit code."""
        return self.process.stop()

    def kill(self):
        self.process.kill()

    def restart(self):
        if self.running():
            assert self.stop() == 0, f"{self.name} did not end well"
        self.start()

    def cleanup(self, *flags):
        self.machine.run(self.world.program(self.program), "cleanup", *flags, "--config",
                         self.config_file)

    def why_not_ready(self):
        """The text of /readyz: "" when ready, None without an answer."""
        done = self.machine.run("curl", "-s", "-o", "-", "-w", "\n%{http_code}", "--max-time", "2",
                                f"http://{self.config['status']}/readyz", check=False)
        text, _, code = done.stdout.rpartition("\n")
        if done.returncode != 0:
            return None
        return "" if code == "200" else text or code

    def metric(self, name):
        """The value of a metric by its name with labels, as /metrics prints it."""
        text = self.machine.out("curl", "-s", "--max-time", "2",
                                f"http://{self.config['status']}/metrics")
        return next(float(line.rpartition(" ")[2]) for line in text.splitlines()
                    if line.startswith(name + " "))

    def loop_stall(self):
        """The longest time in seconds, of the last minute or two, in which the loop did not turn."""
        return self.metric("causeway_loop_stall_seconds")

    def resident_kib(self):
        return self.process.resident_kib()


class Causeway:
    """All daemons of one cluster: a route agent per node, a gateway per gateway node, discovery in a pod on
    the first worker. `gateway_options` and `agent_options` are merged into their files."""

    def __init__(self, cluster, gateway_options=None, agent_options=None):
        self.cluster = cluster
        world, folder = cluster.world, cluster.folder
        common = {"store": f"dir:{cluster.store.folder}", "log.level": "debug"}
        self.gateways = [
            Daemon(world, node.machine, GATEWAY,
                   nested({**common, "ordinal": n, "node": node.name,
                           "status": "127.0.0.1:9701", **(gateway_options or {})}), folder)
            for n, node in enumerate(cluster.gateway_nodes)]
        self.agents = [
            Daemon(world, node.machine, AGENT,
                   nested({**common, "node": node.name, "status": "127.0.0.1:9702",
                           "stateDir": str(folder / "state" / node.name),
                           "reachFile": str(folder / "reach" / node.name),
                           **(agent_options or {})}), folder)
            for node in cluster.nodes]
        self.dns_pod = (cluster.workers or cluster.nodes)[0].pod("dns")
        self.dns = self.dns_pod.ip
        self.discovery = Daemon(world, self.dns_pod.machine, DISCOVERY,
                                nested({**common, "listen": [f"{self.dns}:53"],
                                        "status": "127.0.0.1:9703",
                                        "reachFile": str(folder / "reach" / self.dns_pod.node.name),
                                        "tableFile": str(folder / "state" / "names.json")}), folder)
        cluster.use_dns(self.dns)

    @property
    def all(self):
        return [*self.agents, *self.gateways, self.discovery]

    def start(self):
        for daemon in self.all:
            daemon.start()

    def agent_of(self, node):
        return self.agents[self.cluster.nodes.index(node)]

    def announced(self):
        """The TunnelGateway objects, once every gateway has written its own with key and endpoints."""
        found = {g["spec"]["ordinal"]: g for g in self.cluster.store.list("TunnelGateway")}
        complete = len(found) == len(self.gateways) and all(
            g["spec"].get("publicKey") and g["spec"].get("endpoints") for g in found.values())
        return [found[n] for n in sorted(found)] if complete else None

    def as_peer(self, allowed=None):
        """This cluster as a ClusterPeer for others. A cluster behind NAT has no endpoints in it."""
        gateways = wait_until(self.announced, 20, f"{self.cluster.id}'s gateways announce themselves")
        return objects.cluster_peer(
            self.cluster.id,
            [(g["spec"]["ordinal"], g["spec"]["publicKey"],
              [] if self.cluster.nat else g["spec"]["endpoints"]) for g in gateways],
            allowed or self.cluster.pod_cidrs)

    def tunnels(self):
        """Every tunnel that this cluster's gateways report, as (own ordinal, status)."""
        return [(g["spec"]["ordinal"], tunnel) for g in self.cluster.store.list("TunnelGateway")
                for tunnel in g.get("status", {}).get("tunnels", [])]

    def connected_to(self, cluster_id):
        peer = self.cluster.store.get("ClusterPeer", cluster_id) or {}
        return peer.get("status", {}).get("connected", False)

    def keeps_closed(self, cluster_id):
        """Whether every running agent reports that it holds back the cluster's prefixes."""
        names = [node.name for node in self.cluster.nodes if self.agent_of(node).running()]
        return all(cluster_id in (self.cluster.store.get("RouteAgent", name) or {})
                   .get("status", {}).get("closed", []) for name in names)

    def carrier_of(self, node, cluster_id):
        """The ordinal of the local gateway that carries the node's traffic to a cluster, or None."""
        agent = self.cluster.store.get("RouteAgent", node.name) or {}
        for chosen in agent.get("status", {}).get("chosen", []):
            if chosen["cluster"] == cluster_id and chosen["ordinal"] >= 0:
                return chosen["ordinal"]
        return None


def nested(flat):
    """{"a.b": 1} -> {"a": {"b": 1}}."""
    tree = {}
    for key, value in flat.items():
        place = tree
        *path, last = key.split(".")
        for part in path:
            place = place.setdefault(part, {})
        place[last] = value
    return tree


def pair(*sides):
    """Makes every cluster a peer of every other, and waits until they are connected."""
    for one in sides:
        for other in sides:
            if one is not other:
                one.cluster.store.put(other.as_peer())
    for one in sides:
        for other in sides:
            if one is not other:
                wait_until(lambda one=one, other=other: one.connected_to(other.cluster.id), 30,
                           f"{one.cluster.id} is connected to {other.cluster.id}")
                wait_until(lambda one=one, other=other: one.keeps_closed(other.cluster.id), 30,
                           f"{one.cluster.id}'s nodes hold back packets to {other.cluster.id}")
                one.cluster.world.watch.begin(one.cluster, other.cluster)
