"""Mistakes of configuration: each gives one clear line and exit code 2, or a retry where that helps."""

import copy
import subprocess

import pytest
import yaml

from fabric.cluster import Cluster
from fabric.daemons import AGENT, DISCOVERY, GATEWAY, Causeway
from fabric.wait import stays_true, wait_until

GOOD = {
    GATEWAY: {"ordinal": 0, "node": "east-gateway-0"},
    AGENT: {"node": "east-gateway-0"},
    DISCOVERY: {"listen": ["127.0.0.1:53"]},
}
EVERY = tuple(GOOD)


@pytest.fixture(scope="module")
def cluster(world):
    return Cluster(world, "east", gateways=1, workers=0)


@pytest.fixture
def run(cluster, world, tmp_path):
    """Runs a daemon in the foreground with a configuration; it must end by itself."""
    def run_(program, config):
        path = tmp_path / "config.yaml"
        path.write_text(config if isinstance(config, str) else yaml.safe_dump(config))
        try:
            return path, cluster.gateway_nodes[0].machine.run(
                world.program(program), "--config", path, check=False, timeout=10)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{program} runs on with a bad configuration") from None
    return run_


def good(cluster, program, **changes):
    config = {"store": f"dir:{cluster.store.folder}", **GOOD[program], **changes}
    if program == AGENT:
        config.setdefault("stateDir", str(cluster.folder / "state" / "configuration"))
    return {key: value for key, value in config.items() if value is not None}


def one_line_and_exit_2(done, *words):
    lines = (done.stderr + done.stdout).strip().splitlines()
    assert done.returncode == 2, f"exit code {done.returncode}: {lines}"
    assert len(lines) == 1, f"not one line: {lines}"
    for word in words:
        assert word in lines[0], f"{word!r} is not in {lines[0]!r}"


@pytest.mark.parametrize("program", EVERY)
def test_a_missing_file(cluster, world, program):
    done = cluster.gateway_nodes[0].machine.run(world.program(program), "--config",
                                                "/nowhere/config.yaml", check=False, timeout=10)
    one_line_and_exit_2(done, "/nowhere/config.yaml")


@pytest.mark.parametrize("program", EVERY)
def test_an_unknown_key(cluster, run, program):
    path, done = run(program, good(cluster, program, colour="red"))
    one_line_and_exit_2(done, f"{path}:", "colour")


@pytest.mark.parametrize("program", EVERY)
def test_a_missing_key(cluster, run, program):
    path, done = run(program, good(cluster, program, store=None))
    one_line_and_exit_2(done, str(path), "store")


@pytest.mark.parametrize("program", EVERY)
def test_text_that_is_not_yaml(run, program):
    path, done = run(program, "store: [dir:/tmp\nnode: }")
    one_line_and_exit_2(done, f"{path}:")


@pytest.mark.parametrize("program", EVERY)
def test_a_store_of_no_known_sort(cluster, run, program):
    path, done = run(program, good(cluster, program, store="etcd:/somewhere"))
    one_line_and_exit_2(done, f"{path}:", "store", "etcd:/somewhere")


@pytest.mark.parametrize("program, key, value", (
    (GATEWAY, "ordinal", "first"),
    (GATEWAY, "listenPort", 70000),
    (GATEWAY, "endpoints", ["not an address"]),
    (GATEWAY, "drain", "2 minutes"),
    (AGENT, "holdDown", "2 minutes"),
    (GATEWAY, "tunnel", {"driver": "carrier-pigeon"}),
    (GATEWAY, "log", {"level": "loud"}),
    (AGENT, "probe", {"interval": "fast"}),
    (AGENT, "resync", "-5s"),
    (DISCOVERY, "listen", ["127.0.0.1"]),
    (DISCOVERY, "vip", "magic"),
    (DISCOVERY, "status", "localhost"),
))
def test_a_bad_value_is_named_with_its_line(cluster, run, program, key, value):
    path, done = run(program, good(cluster, program, **{key: value}))
    one_line_and_exit_2(done, f"{path}:", key)


def test_a_missing_key_file(cluster, run):
    _, done = run(GATEWAY, good(cluster, GATEWAY, privateKeyFile="/nowhere/key"))
    one_line_and_exit_2(done, "/nowhere/key")


def test_a_key_file_that_holds_no_key(cluster, run, tmp_path):
    key = tmp_path / "key"
    key.write_text("this is no key\n")
    _, done = run(GATEWAY, good(cluster, GATEWAY, privateKeyFile=str(key)))
    one_line_and_exit_2(done, str(key))


@pytest.mark.parametrize("program", EVERY)
def test_wrong_flags(cluster, world, program):
    done = cluster.gateway_nodes[0].machine.run(world.program(program), "--colour", check=False,
                                                timeout=10)
    assert done.returncode == 2


@pytest.fixture(scope="module")
def daemons(cluster):
    return Causeway(cluster)


@pytest.fixture
def causeway(daemons):
    configs = [copy.deepcopy(daemon.config) for daemon in daemons.all]
    yield daemons
    for daemon, config in zip(daemons.all, configs):
        if daemon.running():
            daemon.kill()
        daemon.config = config
    for daemon in daemons.gateways + daemons.agents:
        if daemon.config_file.exists():  # the daemon was started
            daemon.cleanup()


@pytest.fixture
def squatter(cluster):
    """Takes a UDP or TCP port on the node until the scenario ends."""
    taken = []

    def take(protocol, port):
        kind = "UDP4-RECV" if protocol == "udp" else "TCP4-LISTEN"
        machine = cluster.gateway_nodes[0].machine
        process = machine.spawn("squatter", "socat", "-u", f"{kind}:{port}", "STDOUT")
        flag = "-lun" if protocol == "udp" else "-ltn"
        wait_until(lambda: f":{port} " in machine.out("ss", flag), 5, "the port is taken")
        taken.append(process)
        return process
    yield take
    for process in taken:
        if process.alive():
            process.kill()


def ends_or_waits(daemon, word):
    """The daemon either ends with code 2, or stays, is not ready and says why. Both name the cause."""
    wait_until(lambda: word in daemon.process.output(), 10, f"{daemon.name} names {word}")
    if daemon.running():
        stays_true(lambda: daemon.why_not_ready() != "" or not daemon.running(), 1, "not ready")
    if not daemon.running():
        assert daemon.process.wait(1) == 2


def test_a_taken_status_port(causeway, squatter):
    squatter("tcp", 9702)
    agent = causeway.agents[0].start()
    wait_until(lambda: "9702" in agent.process.output(), 10, "the taken port is named")
    if not agent.running():
        assert agent.process.wait(1) == 2


def test_a_taken_tunnel_port_is_waited_for(causeway, squatter):
    squatting = squatter("udp", 4500)
    gateway = causeway.gateways[0].start()
    ends_or_waits(gateway, "4500")
    squatting.kill()
    if not gateway.running():
        gateway.start()
    wait_until(lambda: gateway.why_not_ready() == "", 20, "the gateway is ready")


def test_a_store_that_cannot_be_used(cluster, causeway):
    file = cluster.folder / "no-folder"
    file.write_text("")
    agent = causeway.agents[0]
    agent.config["store"] = f"dir:{file}"
    agent.start()
    ends_or_waits(agent, str(file))


def test_a_cluster_without_a_name_is_waited_for(cluster, causeway):
    """There is no ClusterProperty yet: the daemon says so, waits, and goes on when it comes."""
    path = cluster.store.path("ClusterProperty", "cluster.clusterset.k8s.io")
    text = path.read_text()
    path.unlink()
    agent = causeway.agents[0].start()
    wait_until(lambda: "cluster.clusterset.k8s.io" in agent.process.output(), 10, "it says so")
    stays_true(lambda: agent.running() and agent.why_not_ready() != "", 1, "it waits, not ready")
    path.write_text(text)
    wait_until(lambda: agent.why_not_ready() == "", 15, "it goes on")
