"""After cleanup only the guard of remote prefixes is left in the kernel. After `cleanup --open` nothing of
Causeway is left. The objects of other programs stay in both cases."""

import pathlib

import pytest

from fabric.kernel_state import difference, kernel_state
from fabric.site import Site, join, wait_until_reached
from fabric.traffic import ping


def clean(sites, *flags):
    for site in sites:
        for gateway in site.causeway.gateways:
            gateway.cleanup()
        for agent in site.causeway.agents:
            agent.cleanup(*flags)


@pytest.mark.parametrize("end", ("stopped", "killed"))
def test_cleanup_leaves_the_guard_and_with_open_nothing(own_world, end):
    sites = [Site(own_world, name) for name in ("east", "west")]
    nodes = [node for site in sites for node in site.cluster.nodes]
    before = {node.name: kernel_state(node.machine) for node in nodes}
    join(*sites)
    wait_until_reached(sites[1], sites[0])
    assert all(difference(before[node.name], kernel_state(node.machine)) for node in nodes)
    for site in sites:
        for daemon in site.causeway.all:
            daemon.stop() if end == "stopped" else daemon.kill()
    clean(sites)
    for node in nodes:
        left = difference(before[node.name], kernel_state(node.machine))
        assert left and all(
            any(word in line for word in ("89", "93:", "94:", "nft")) for line in left), left
        assert "causeway-closed" in "\n".join(left)
    for pod, other in ((sites[0].pod, sites[1].pod), (sites[1].pod, sites[0].pod)):
        assert not ping(pod.machine, other.ip) and not ping(pod.machine, other.ip6)
    assert own_world.watch.take_clear() == [], "cleanup opened the way into the clear"
    own_world.watch.end(sites[0].cluster, sites[1].cluster)
    own_world.watch.end(sites[1].cluster, sites[0].cluster)
    clean(sites, "--open")
    for node in nodes:
        left = difference(before[node.name], kernel_state(node.machine))
        assert not left, f"{node.name}:\n" + "\n".join(left)
        programs = {p: open(f"/proc/{p}/comm", encoding="ascii").read().strip()
                    for p in node.machine.pids()}
        assert not programs, f"{node.name}: still running: {programs}"
        assert node.machine.out("ls", "/run/wireguard") == ""
    for site in sites:
        for agent in site.causeway.agents:
            assert not pathlib.Path(agent.config["stateDir"], "closed.json").exists()
    clean(sites, "--open")  # a second run is no error


def test_it_works_again_after_cleanup(own_world):
    sites = [Site(own_world, name, gateways=1, ipv6=False) for name in ("east", "west")]
    join(*sites)
    for daemon in sites[0].causeway.all:
        daemon.stop()
    clean(sites[:1])
    for daemon in sites[0].causeway.all:
        daemon.start()
    wait_until_reached(sites[0], sites[1])
