"""After cleanup nothing of Causeway is left in the kernel, and all that others made still is."""

import pytest

from fabric.kernel_state import difference, kernel_state
from fabric.site import Site, join, wait_until_reached


@pytest.mark.parametrize("end", ("stopped", "killed"))
def test_cleanup_leaves_nothing(own_world, end):
    sites = [Site(own_world, name) for name in ("east", "west")]
    nodes = [node for site in sites for node in site.cluster.nodes]
    before = {node.name: kernel_state(node.machine) for node in nodes}
    join(*sites)
    wait_until_reached(sites[1], sites[0])
    assert all(difference(before[node.name], kernel_state(node.machine)) for node in nodes)
    for site in sites:
        for daemon in site.causeway.all:
            daemon.stop() if end == "stopped" else daemon.kill()
    for site in sites:
        for daemon in site.causeway.gateways + site.causeway.agents:
            daemon.cleanup()
    for node in nodes:
        left = difference(before[node.name], kernel_state(node.machine))
        assert not left, f"{node.name}:\n" + "\n".join(left)
        programs = {p: open(f"/proc/{p}/comm", encoding="ascii").read().strip()
                    for p in node.machine.pids()}
        assert not programs, f"{node.name}: still running: {programs}"
        assert node.machine.out("ls", "/run/wireguard") == ""
    for site in sites:  # a second time is no error
        for daemon in site.causeway.gateways + site.causeway.agents:
            daemon.cleanup()


def test_it_works_again_after_cleanup(own_world):
    sites = [Site(own_world, name, gateways=1, ipv6=False) for name in ("east", "west")]
    join(*sites)
    for daemon in sites[0].causeway.all:
        daemon.stop()
    for daemon in sites[0].causeway.gateways + sites[0].causeway.agents:
        daemon.cleanup()
    for daemon in sites[0].causeway.all:
        daemon.start()
    wait_until_reached(sites[0], sites[1])
