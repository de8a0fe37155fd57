"""Shared by all scenarios: lines to the terminal, an end for scenarios that hang, the load average at a
failure."""

import os
import pathlib
import signal
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

# A scenario that takes longer counts as hanging.
SCENARIO_SECONDS, KUBERNETES_SCENARIO_SECONDS = 150, 480


@pytest.fixture(scope="session")
def tell(request):
    """Writes a line to the terminal, even if output is captured."""
    plugins = request.config.pluginmanager
    reporter, capture = plugins.get_plugin("terminalreporter"), plugins.get_plugin("capturemanager")

    def line(text):
        if reporter is None:  # one of several processes side by side: it has no terminal
            return
        with capture.global_and_fixture_disabled():
            reporter.ensure_newline()
            reporter.write_line(f"    {text}")
    return line


@pytest.hookimpl(optionalhook=True)
def pytest_testnodeready(node):
    """In the process that prints for several side by side: the names of scenarios, as -v prints them.

    They are started without -v. With -v, xdist asks each process for its version first, and then says "run
    scenarios". Now and then that reaches the process before it has finished the first answer. execnet then runs
    the scenarios on a second thread, where no signal can end one that hangs."""
    node.config.option.verbose = 1


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item, nextitem):
    """Ends a scenario that hangs."""
    on_kubernetes = item.path.is_relative_to(HERE / "kube")
    seconds = KUBERNETES_SCENARIO_SECONDS if on_kubernetes else SCENARIO_SECONDS

    def too_long(*_):
        # Not an OSError: wait_until() would take an OSError for "not yet".
        pytest.fail(f"{item.name} took more than {seconds} s")
    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(seconds)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(hookwrapper=True, tryfirst=True)  # after the suites' hooks, which may change the outcome
def pytest_runtest_makereport(item, call):
    """Adds the load average to the JUnit entry of a failure; e2e/results.py reads it."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        load = ("load average", f"{os.getloadavg()[0]:.1f}")
        item.user_properties.append(load)
        report.user_properties.append(load)
