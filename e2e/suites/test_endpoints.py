"""Endpoints as clouds have them: DNS names, load balancers, node ports, nodes with another address, IPv6 alone,
and NAT on both sides."""

import yaml

from fabric import objects
from fabric.ctl import ctl
from fabric.daemons import pair
from fabric.names import Names
from fabric.site import Site, join, wait_until_reached
from fabric.six_only import SixOnlyCluster
from fabric.traffic import ping
from fabric.wait import stays_true, wait_until

SMALL = {"gateways": 1, "workers": 0}
NAME = "gw0.west.example"
NAMESPACE, SERVICE = "causeway-system", "causeway-gateway-0"
BALANCER = "203.0.113.9"


def gateway_of(site, ordinal=0):
    """The TunnelGateway object."""
    return site.store.get("TunnelGateway", f"gateway-{ordinal}") or {}


def endpoints_of(site):
    return gateway_of(site).get("spec", {}).get("endpoints", [])


def condition(site, kind, name, which):
    return site.store.conditions(kind, name).get(which, {})


def let_call(site, other, *endpoints):
    """Pairs one side by hand: `site` calls the first gateway of `other` at these endpoints, or waits for its call."""
    key = wait_until(lambda: gateway_of(other)["spec"]["publicKey"], 20, f"{other.id}'s gateway announces itself")
    site.store.put(objects.cluster_peer(other.id, [(0, key, endpoints)], other.cluster.pod_cidrs))


def wait_until_connected(*sites, deadline=60):
    for one in sites:
        for other in sites:
            if one is not other:
                wait_until(lambda one=one, other=other: one.causeway.connected_to(other.id), deadline,
                           f"{one.id} is connected to {other.id}")


def wait_until_used(site, other, endpoint):
    """Until the tunnel of `site` to `other` has the endpoint, or one that begins so."""
    wait_until(lambda: [tunnel.get("endpoint", "") for _, tunnel in site.causeway.tunnels()
                        if tunnel["cluster"] == other.id][0].startswith(endpoint), 30,
               f"{site.id}'s tunnel to {other.id} uses {endpoint}")


def test_a_gateway_is_called_by_its_name_at_all_of_its_addresses(own_world):
    """The name does not exist at first, then leads nowhere, and then also to the gateway's IPv6 address."""
    names = Names(own_world)
    east, west = Site(own_world, "east", **SMALL).start(), Site(own_world, "west", **SMALL).start()
    names.serve(east.cluster)
    let_call(west, east)
    let_call(east, west, f"{NAME}:4500")

    def accepted():
        return condition(east, "ClusterPeer", "west", "GatewaysAccepted")
    wait_until(lambda: accepted().get("reason") == "NameUnresolved", 20, "the name's trouble is told")
    assert f"{NAME}:4500" in accepted()["message"]
    names.put(NAME, "192.0.2.200")  # no host
    wait_until(lambda: accepted().get("status") == "True", 40, "the name has an address")
    names.put(NAME, "192.0.2.200", west.cluster.nodes[0].ip6)
    wait_until_connected(east, west, deadline=90)
    wait_until_used(east, west, f"[{west.cluster.nodes[0].ip6}]:4500")


def test_a_silent_name_server_delays_nothing_but_its_names(own_world):
    names = Names(own_world)
    east, west = Site(own_world, "east", **SMALL), Site(own_world, "west", **SMALL)
    names.serve(east.cluster)
    names.lose()
    east.start()
    west.start()
    let_call(west, east)
    let_call(east, west, f"{NAME}:4500", f"{west.cluster.nodes[0].ip}:4500")
    wait_until_connected(east, west)
    wait_until(lambda: "no name server answers" in condition(east, "ClusterPeer", "west", "GatewaysAccepted")
               .get("message", ""), 30, "the silence is told")
    # A lookup takes 2 s or more. The loop has not waited for one.
    assert east.causeway.gateways[0].loop_stall() < 1.5
    assert east.causeway.gateways[0].stop() == 0, "the gateway stops while it looks up a name"


def test_a_node_gets_another_address_and_everything_follows(own_world):
    """Node status changes, as when a cloud's machine starts again. No daemon is restarted."""
    shape = {"gateways": 1, "workers": 1}
    east, west = Site(own_world, "east", **shape), Site(own_world, "west", **shape)
    join(east, west)
    node = east.cluster.gateway_nodes[0]
    old, new = node.ip, "172.20.1.99"
    before = [daemon.process.pid for daemon in east.causeway.all]
    node.machine.sysctl(net__ipv4__conf__all__promote_secondaries=1)
    node.machine.ip(f"addr add {new}/24 dev eth0\naddr del {old}/24 dev eth0\n"
                    "route replace default via 172.20.1.1")
    node.ip, node.addresses[0] = new, new
    for other in east.cluster.nodes:
        other.host_routes()
    east.cluster.write_node(node)
    wait_until(lambda: gateway_of(east)["spec"]["nodeIp"] == new and f"{new}:4500" in endpoints_of(east), 20,
               "the object has the new address")

    def told():
        gateways = west.store.get("ClusterPeer", "east")["status"]["gateways"]
        return [f"{new}:4500" in gateway["endpoints"] and f"{old}:4500" not in gateway["endpoints"]
                for gateway in gateways] == [True]
    wait_until(told, 30, "the other cluster is told")
    wait_until_used(west, east, f"{new}:4500")
    wait_until_reached(east, west)
    wait_until_reached(west, east)
    assert [daemon.process.pid for daemon in east.causeway.all] == before


def test_an_underlay_of_ipv6_alone_carries_pods_of_both_families(own_world):
    sites = [Site(own_world, name, network=SixOnlyCluster) for name in ("east", "west")]
    join(*sites)
    east, west = sites
    for site, other in ((east, west), (west, east)):
        assert all(endpoint.startswith("[fd00:20:") for endpoint in endpoints_of(site)), endpoints_of(site)
        wait_until_used(site, other, "[fd00:20:")
    east.crash_gateway(0)
    for here, there in ((east, west), (west, east)):
        for family in (4, 6):
            wait_until(lambda here=here, there=there, family=family: ping(here.pod.machine, there.pod.address(family)),
                       20, f"the workers of {here.id} and {there.id} go on without the gateway (IPv{family})")


def service(kind, status=None, **port):
    body = {"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": NAMESPACE, "name": SERVICE},
            "spec": {"type": kind, "clusterIP": "10.96.0.9",
                     "ports": [{"name": "tunnel", "protocol": "UDP", "port": 4510, "targetPort": 4500, **port}]}}
    return {**body, "status": {"loadBalancer": {"ingress": status or []}}}


def balance(world, site):
    """A load balancer of the cloud at the site's edge. It leads to the first gateway's node."""
    edge, node = site.cluster.edge, site.cluster.nodes[0]
    edge.run("nft", "-f", "-", stdin=f"""
        table inet balancer {{
          chain pre {{ type nat hook prerouting priority dstnat;
            ip daddr {BALANCER} udp dport 4510 dnat ip to {node.ip}:4500
          }}
        }}
        insert rule inet edge in iifname wan ct status dnat accept""")
    world.wan.ip(f"route add {BALANCER}/32 via 192.0.2.{4 * site.cluster.number + 1}")


def test_a_service_gives_the_gateway_its_address(own_world):
    """A load balancer comes late, gets a name, and becomes a node port. The gateway's node is behind NAT."""
    east = Site(own_world, "east", {"service": SERVICE}, nat=True, ipv6=False, **SMALL).start()
    west = Site(own_world, "west", ipv6=False, **SMALL).start()
    east.store.put(service("LoadBalancer"))

    def known():
        return condition(east, "TunnelGateway", "gateway-0", "EndpointsKnown")
    wait_until(lambda: known().get("reason") == "ServicePending", 20, "the missing address is told")
    assert endpoints_of(east) == []
    balance(own_world, east)
    east.store.put(service("LoadBalancer", [{"ip": BALANCER}]))
    wait_until(lambda: endpoints_of(east) == [f"{BALANCER}:4510"], 20, "the load balancer's address is announced")
    wait_until(lambda: known()["status"] == "True", 10, "its condition holds")
    exported = yaml.safe_load(ctl(east, "pair", "export").stdout)
    assert exported["spec"]["gateways"][0]["endpoints"] == [f"{BALANCER}:4510"]
    let_call(east, west)  # east waits for the call
    west.store.put(exported)
    wait_until_connected(east, west)
    wait_until_used(west, east, f"{BALANCER}:4510")
    wait_until_reached(east, west)

    def told(endpoint):
        gateway, = west.store.get("ClusterPeer", "east")["status"]["gateways"]
        return gateway["endpoints"] == [endpoint]
    east.store.put(service("LoadBalancer", [{"hostname": "lb.east.example"}]))
    wait_until(lambda: told("lb.east.example:4510"), 30, "the other cluster is told the name")
    east.store.put(service("NodePort", nodePort=31500))
    wait_until(lambda: told(f"{east.cluster.nodes[0].ip}:31500"), 30, "the other cluster is told the node port")
    assert ping(west.pod.machine, east.pod.ip), "running traffic goes on"


def hide(site, port):
    """A NAT that gives the gateway's packets another source port, the same one towards all destinations, and drops
    packets that answer none. Returns the address that others see."""
    seen = f"192.0.2.{4 * site.cluster.number + 1}"
    site.cluster.edge.run("nft", "-f", "-", stdin=f"""
        insert rule inet edge out oifname wan udp sport 4500 snat ip to {seen}:{port}
        table inet edge {{
          chain self {{ type filter hook input priority filter;
            iifname wan ct state established,related accept
            iifname wan meta l4proto udp drop
          }}
        }}""")
    return f"{seen}:{port}"


def test_two_clusters_behind_nat_meet_by_what_a_third_one_sees(own_world):
    hub = Site(own_world, "hub", ipv6=False, **SMALL).start()
    east, west = (Site(own_world, name, nat=True, ipv6=False, **SMALL).start() for name in ("east", "west"))
    seen = {east.id: hide(east, 40001), west.id: hide(west, 40002)}
    let_call(east, west)
    let_call(west, east)
    for site in (east, west):
        wait_until(lambda site=site: [tunnel["trouble"] for _, tunnel in site.causeway.tunnels()
                                      if "names no usable endpoint" in tunnel.get("trouble", "")], 20,
                   f"{site.id} says that it has no endpoint to call")
    pair(hub.causeway, east.causeway)
    pair(hub.causeway, west.causeway)
    wait_until_connected(east, west, deadline=80)
    for site, other in ((east, west), (west, east)):
        wait_until_used(site, other, seen[other.id])
        told = {"by": "hub/0", "endpoint": seen[site.id]}
        wait_until(lambda site=site, told=told: told in gateway_of(site)["status"]["observed"], 15,
                   f"{site.id} publishes how the hub sees it")
    wait_until_reached(east, west)
    hub.lose()
    stays_true(lambda: ping(east.pod.machine, west.pod.ip), 5, "the tunnel needs the third cluster no more")
