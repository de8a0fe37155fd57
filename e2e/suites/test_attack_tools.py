"""The attackers' tools work: a forged packet arrives if no rule stops it."""

import pytest

from fabric.attack import Catcher, VxlanDevice, forge, tcp_syn, token, udp, vxlan
from fabric.site import Site
from fabric.wait import wait_until


@pytest.mark.parametrize("family", (4, 6))
def test_a_forged_packet_arrives_where_nothing_stops_it(own_world, family):
    site = Site(own_world, "east", gateways=1)
    text, other = token(), token()
    sender, target = site.pods[0], site.pods[1]
    source = "10.99.9.9" if family == 4 else "fd00:99::9"  # the address of no pod and no host
    with Catcher(target.machine, text) as caught, Catcher(target.machine, other) as none:
        packets = [udp(source, target.address(family), 4000, 4000, text),
                   tcp_syn(source, target.address(family), 4000, 4001)]
        assert forge(sender.machine, packets, count=3) == 6
        wait_until(lambda: caught.count == 3, 10, "the forged packets arrive")
        assert none.count == 0


def test_a_vxlan_datagram_is_what_the_kernel_takes(own_world):
    """Two plain hosts with a VXLAN device each: the device delivers the frame that the tool builds."""
    here, there = own_world.machine("here"), own_world.machine("there")
    own_world.link(here, "eth0", there, "eth0")
    for n, host in enumerate((here, there), 1):
        host.ip(f"addr add 192.0.2.{n}/24 dev eth0\nlink set eth0 up")
    there.ip("link add cw-vx address 02:00:00:00:00:02 type vxlan id 77 dstport 4799 local 192.0.2.2 "
             "dev eth0\naddr add 10.9.0.2/24 dev cw-vx\nlink set cw-vx up")

    class Node:
        machine = there
    device, text = VxlanDevice(Node), token()
    assert (device.vni, device.port, device.mac) == (77, 4799, "02:00:00:00:00:02")
    inner = udp("10.9.0.1", "10.9.0.2", 4000, 4000, text)
    receiver = there.spawn("receive", "socat", "-u", "UDP4-RECV:4000", "STDOUT")
    wait_until(lambda: ":4000" in there.out("ss", "-Hlun"), 10, "the receiver listens")
    forge(here, [udp("192.0.2.1", "192.0.2.2", 5000, device.port,
                     vxlan(inner, "02:00:00:00:00:01", device.mac, device.vni))])
    wait_until(lambda: text in receiver.output(), 10, "the inner packet is delivered")
