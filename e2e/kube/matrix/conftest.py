"""Scenarios like those of ../suites on clusters of other shapes. They take too long for every change: ./dev kube
--matrix. A file names its shapes in SHAPES, and all of its scenarios run on each of them in turn."""

import pytest

from kube.cni.bridge import Bridge
from kube.cni.calico import Calico
from kube.cni.flannel import Flannel
from kube.cni.kube_router import KubeRouter
from kube.conftest import two_clusters

# What Cluster() takes, by the cluster's name. The other cluster has IPv4, the bridge and kube-proxy's mode nftables.
SHAPES = {
    # No machine has an IPv4 address but loopback's.
    "ipv6-only": lambda: {"east": {"families": (6,)}, "west": {"families": (6,)}},
    "dual-stack": lambda: {"east": {"families": (4, 6)}, "west": {"families": (4, 6)}},
    # Blocks of eight addresses: every node soon needs a second one.
    "calico": lambda: {"east": {"network": Calico(block_size=29)}},
    "calico-dual-stack": lambda: {"east": {"network": Calico(), "families": (4, 6)}, "west": {"families": (4, 6)}},
    "calico-beside-podcidrs": lambda: {"east": {"network": Calico(node_prefixes=True)}},
    "flannel": lambda: {"east": {"network": Flannel()}},
    "kube-router-dual-stack": lambda: {"east": {"network": KubeRouter(), "families": (4, 6)},
                                       "west": {"families": (4, 6)}},
    "calico-and-kube-router": lambda: {"east": {"network": Calico(), "proxy_mode": "iptables"},
                                       "west": {"network": KubeRouter(), "proxy_mode": "iptables"}},
    "kube-proxy-iptables": lambda: {"east": {"network": Bridge(), "proxy_mode": "iptables"}},
}


def pytest_generate_tests(metafunc):
    if "clusters" in metafunc.fixturenames:
        metafunc.parametrize("clusters", metafunc.module.SHAPES, indirect=True, scope="session")


@pytest.fixture(scope="session")
def clusters(request, run_folder, underlay, images, tell):
    """East and west in a shape of SHAPES. The next pair starts when this one is gone."""
    folder = run_folder / request.param
    tell(f"shape {request.param}")
    yield from two_clusters(folder, underlay, images, tell, **SHAPES[request.param]())
