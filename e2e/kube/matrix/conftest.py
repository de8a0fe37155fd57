"""Scenarios like those of ../suites on clusters of other shapes. They take too long for every change: ./dev
kube --matrix."""

import pytest

from kube.conftest import two_clusters


@pytest.fixture(scope="session")
def clusters(run_folder, underlay, build, tell):
    """East and west without any IPv4 address but loopback's."""
    yield from two_clusters(run_folder, underlay, build, tell, family=6)
