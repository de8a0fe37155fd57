"""Fixtures of the scenarios. Run as root: CAUSEWAY_BUILD=build/release python3 -m pytest e2e/suites"""

import contextlib
import os
import pathlib

import pytest

from fabric.site import Site, join
from fabric.watch import told
from fabric.world import World

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORLDS = []
SNIFFED = {"packets": 0, "clear": 0}


def build_folder():
    return pathlib.Path(os.environ.get("CAUSEWAY_BUILD", ROOT / "build/release"))


@contextlib.contextmanager
def watched_world():
    with World(build_folder()) as made:
        WORLDS.append(made)
        yield made
        WORLDS.remove(made)
        SNIFFED["packets"] += made.watch.packets()
        late = made.watch.finish()
        SNIFFED["clear"] += made.watch.clear
        assert not late, told(late)


@pytest.fixture(scope="module")
def world():
    """An empty world with a WAN router; gone after the module."""
    with watched_world() as made:
        yield made


@pytest.fixture
def own_world():
    """The same for one scenario only."""
    with watched_world() as made:
        yield made


@pytest.fixture(scope="module")
def sites(world, tell):
    """East and west, two gateways and a worker each, paired, with Causeway running."""
    tell("raising two clusters, east and west")
    east, west = Site(world, "east"), Site(world, "west")
    join(east, west)
    return east, west


@pytest.fixture
def east(sites):
    return sites[0]


@pytest.fixture
def west(sites):
    return sites[1]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Fails a scenario during which a pod's packet was on the WAN in the clear. Adds the daemons' logs to the
    report of a failure."""
    outcome = yield
    report = outcome.get_result()
    if call.when == "call":
        clear = [line for made in WORLDS for line in made.watch.take_clear()]
        if clear and report.passed:
            report.outcome, report.longrepr = "failed", told(clear)
        elif clear:
            report.sections.append(("the WAN", told(clear)))
    if report.failed:
        for made in WORLDS:
            report.sections.append(("logs of the machines", made.logs()))


def pytest_sessionfinish(session):
    """In one of several processes side by side: hands the counts of the sniffer to the process that prints them."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["sniffed"] = SNIFFED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
    """Adds the counts of a process that ended."""
    for name, count in getattr(node, "workeroutput", {}).get("sniffed", {}).items():
        SNIFFED[name] += count


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(f"WAN sniffer: {SNIFFED['packets']} packets seen, "
                                f"{SNIFFED['clear']} clear packets of pods")
