"""Attacks on gateway nodes: on their own services through a tunnel, and with addresses that only gateways
have inside the tunnels."""

import pytest

from fabric.attack import Catcher, VxlanDevice, forge, token, udp, vxlan
from fabric.rogue import RogueGateway, control_address, opens, probe_address
from fabric.site import Site, join
from fabric.traffic import TCP_PORT, ping, serve_tcp
from fabric.wait import stays_true, wait_until

FEED, PROBE, THROUGH = 4798, 4797, 4795
NODE_PORT = 30080
UDP_PORT = 4600
SERVICE = {4: "10.96.0.10", 6: "fd00:96::10"}


@pytest.fixture(scope="module")
def sites(world, tell):
    tell("raising two clusters, east and west")
    east, west = Site(world, "east"), Site(world, "west")
    join(east, west)
    for node in east.cluster.gateway_nodes:
        serve_tcp(node.machine)  # a service of the host, on all its addresses
    return east, west


def bridge(node, family):
    return node.bridge_ip if family == 4 else node.bridge_ip6


@pytest.mark.parametrize("family", (4, 6))
def test_remote_pods_reach_no_service_of_a_gateway_node(sites, family):
    east, west = sites
    for pod in west.pods:
        assert opens(pod.machine, east.pod.address(family), TCP_PORT), "pods see each other"
        for node in east.cluster.gateway_nodes:
            target = bridge(node, family)
            assert ping(pod.machine, target), "an echo request is answered"
            for source_port in (0, FEED, PROBE):
                assert not opens(pod.machine, target, TCP_PORT, source_port=source_port), \
                    f"{pod.name} reaches {node.name} at {target} from port {source_port}"


@pytest.mark.parametrize("family", (4, 6))
def test_a_gateway_nodes_host_still_talks_to_remote_pods(sites, family):
    east, west = sites
    for node in east.cluster.gateway_nodes:
        for pod in west.pods:
            assert opens(node.machine, pod.address(family), TCP_PORT, source=bridge(node, family))


def test_remote_pods_reach_nothing_at_a_control_address(sites):
    """A pod on a gateway node has a route to the remote gateways' addresses."""
    east, west = sites
    for pod in west.gateway_pods:
        for ordinal, node in enumerate(east.cluster.gateway_nodes):
            target, port = control_address(east, ordinal), 4000 + ordinal
            udp_server = node.machine.spawn(f"udp-{pod.name}", "socat", "-u",
                                            f"UDP6-RECV:{port}", "STDOUT")
            wait_until(lambda node=node, port=port: f":{port}" in node.machine.out("ss", "-Hlun"), 10,
                       "the UDP service listens")
            for source_port in (0, FEED, PROBE):
                assert not opens(pod.machine, target, TCP_PORT, source_port=source_port)
                assert not opens(pod.machine, target, FEED, source_port=source_port), "the feed"
            text = token()
            forge(pod.machine, [udp(pod.ip6, target, PROBE, port, text)])
            stays_true(lambda server=udp_server, text=text: text not in server.output(), 0.5,
                       "nothing from source port 4797")
            udp_server.kill()


def inside_addresses(site, family, ordinal=0):
    return control_address(site, ordinal) if family == 6 else probe_address(site, ordinal)


@pytest.mark.parametrize("family", (4, 6))
def test_a_pod_cannot_speak_as_its_gateway(sites, family):
    east, west = sites
    for ordinal, pod in enumerate(west.gateway_pods):
        for remote, node in enumerate(east.cluster.gateway_nodes):
            text = token()
            source = inside_addresses(west, family, ordinal)
            target = inside_addresses(east, family, remote)
            with Catcher(node.machine, text) as caught:
                forge(pod.machine, [udp(source, target, port, port, text) for port in (PROBE, THROUGH)]
                      + [udp(source, east.pod.address(family), PROBE, 4000, text),
                         udp(pod.address(family), target, PROBE, PROBE, text)])
                stays_true(lambda caught=caught: caught.count == 0, 0.5,
                           "no packet with a gateway's address leaves the pod's node")


@pytest.mark.parametrize("family", (4, 6))
def test_a_stranger_cannot_speak_as_a_gateway_inside_vxlan(sites, family):
    """The stranger on the WAN has all public data: MAC addresses, VNI, node addresses, keys."""
    east, west = sites
    worker = west.cluster.workers[0]
    for ordinal, gateway in enumerate(west.cluster.gateway_nodes):
        device, from_device = VxlanDevice(gateway), VxlanDevice(worker)
        source = inside_addresses(west, family, ordinal)
        for remote, node in enumerate(east.cluster.gateway_nodes):
            text, target = token(), inside_addresses(east, family, remote)
            inner = [udp(source, target, port, port, text) for port in (PROBE, THROUGH)]
            with Catcher(node.machine, text) as caught:
                forge(west.world.wan, [
                    udp(worker.ip, gateway.ip, 5000, device.port,
                        vxlan(packet, from_device.mac, device.mac, device.vni)) for packet in inner])
                stays_true(lambda caught=caught: caught.count == 0, 0.5,
                           "no forged packet comes out of the tunnel")


def kube_proxy(node, pod, family):
    """The rules of kube-proxy for a Service with one endpoint: ClusterIP and NodePort."""
    ip, target = ("ip", pod.ip) if family == 4 else ("ip6", f"[{pod.ip6}]")
    node.machine.run("nft", "-f", "-", stdin=f"""
        table {ip} kube-proxy-{ip} {{
          chain services {{
            type nat hook prerouting priority dstnat; policy accept;
            {ip} daddr {SERVICE[family]} udp dport 80 dnat to {target}:{UDP_PORT}
            fib daddr type local udp dport {NODE_PORT} dnat to {target}:{UDP_PORT}
          }}
        }}""")


def udp_service(machine):
    """A UDP service on all addresses of both families. The Process's output has the received datagrams."""
    service = machine.spawn("udp-service", "socat", "-u", f"UDP6-RECV:{UDP_PORT}", "STDOUT")
    wait_until(lambda: f":{UDP_PORT}" in machine.out("ss", "-Hlun"), 10, "the UDP service listens")
    return service


@pytest.mark.parametrize("family", (4, 6))
def test_a_compromised_peer_reaches_pods_and_nothing_else(own_world, family):
    """UDP in one direction. The rogue answers no probes. So east's route agent is paused, or it would soon
    leave the tunnel, and the check of IPv4 sources would then drop everything."""
    east = Site(own_world, "east", gateways=1)
    west = Site(own_world, "west", gateways=1)
    join(east, west)
    node, pod = east.cluster.gateway_nodes[0], east.gateway_pods[0]
    heard = [udp_service(node.machine), udp_service(pod.machine)]
    kube_proxy(node, pod, family)
    control = control_address(east)
    east.causeway.agent_of(node).process.pause()
    rogue = RogueGateway(west, east)

    address = node.ip if family == 4 else node.ip6
    pods = ("a pod", pod.address(family), UDP_PORT)
    doors = (
        ("a host service at the node's address", address, UDP_PORT),
        ("a host service at the bridge's address", bridge(node, family), UDP_PORT),
        ("a NodePort at the node's address", address, NODE_PORT),
        ("a NodePort at the bridge's address", bridge(node, family), NODE_PORT),
        ("a ClusterIP", SERVICE[family], 80),
        ("a host service at the control address", control, UDP_PORT),
    )
    for _, target, _ in (pods, *doors):
        rogue.aim(target)

    def send(tries):
        """Sends the packets. Returns the name and the text of each; the pod's packet is the last one."""
        sent = [(what, source_port, target, port, token()) for what, target, port in tries
                for source_port in (FEED, PROBE, 5000)]
        forge(rogue.machine, [udp(rogue.source(target), target, source_port, port, text)
                              for _, source_port, target, port, text in sent], hertz=1000)
        return [(f"{what} from port {source_port}", text) for what, source_port, _, _, text in sent]

    def arrived(text):
        return any(text in service.output() for service in heard)
    wait_until(lambda: arrived(send([pods])[-1][1]), 10, "the rogue's tunnel works", every=0.2)
    sent = send([*doors, pods])
    wait_until(lambda: arrived(sent[-1][1]), 5, "the pod gets the packet that was sent last")
    open_doors = [what for what, text in sent[:-3] if arrived(text)]
    assert not open_doors
