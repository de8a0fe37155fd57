"""Clusters that grow: meshes, `pair --refresh`, what a peer refuses, and unpairing from one side."""

import base64
import os

import pytest

from fabric import objects
from fabric.ctl import ctl
from fabric.services import export, make_service, remove_service
from fabric.site import Site, wait_until_reached
from fabric.store import DirectoryStore
from fabric.traffic import TCP_PORT, ping
from fabric.wait import wait_until

GROWN = "10.142.7.0/24"  # outside of all that west had when it was paired


def pair(site, *sites, flags=(), check=True):
    """`causewayctl pair` of the stores of these sites."""
    return ctl(site, "pair", *flags, *[f"dir:{one.store.folder}" for one in sites], check=check, timeout=60)


def accepted_by(site, other):
    """The condition AcceptedByPeer of the site's ClusterPeer."""
    return site.store.conditions("ClusterPeer", other.id).get("AcceptedByPeer", {})


def allowed(site, other):
    return site.store.get("ClusterPeer", other.id)["spec"]["allowedCidrs"]


def watch(*sites):
    """From the pairing on no packet of a pod leaves its cluster in the clear."""
    for here in sites:
        for there in sites:
            if here is not there:
                wait_until(lambda here=here, there=there: here.causeway.keeps_closed(there.id), 30,
                           f"{here.id}'s nodes hold back packets to {there.id}")
                here.world.watch.begin(here.cluster, there.cluster)


@pytest.fixture(scope="module")
def mesh(world, tell):
    """East, west and north, joined by one command."""
    tell("raising three clusters, east, west and north")
    sites = [Site(world, "east", gateways=1, ipv6=False).start(),
             Site(world, "west", gateways=2, ipv6=False),
             Site(world, "north", gateways=1, workers=0, ipv6=False).start()]
    west = sites[1]
    for daemon in [*west.causeway.agents, west.causeway.gateways[0], west.causeway.discovery]:
        daemon.start()  # west's second gateway comes later
    for site in sites:
        wait_until(lambda site=site: site.store.get("TunnelGateway", "gateway-0"), 20,
                   f"{site.id}'s gateway announces itself")
    done = pair(sites[0], *sites)
    watch(*sites)
    return *sites, done


def test_three_stores_become_a_mesh(mesh):
    east, west, north, done = mesh
    for here in (east, west, north):
        for there in (east, west, north):
            if here is not there:
                line = f"cluster {there.id} is now a peer of {here.id}"
                assert done.stdout.count(line) == 1, done.stdout
                wait_until_reached(here, there)


def test_a_second_pairing_changes_nothing_and_says_so(mesh):
    east, west, north, _ = mesh
    before = {site.id: [peer["spec"] for peer in site.store.list("ClusterPeer")] for site in mesh[:3]}
    for flags in ((), ("--refresh",)):
        done = pair(east, east, west, north, flags=flags)
        assert done.stdout.count("nothing changed") == 6, done.stdout
    assert before == {site.id: [peer["spec"] for peer in site.store.list("ClusterPeer")] for site in mesh[:3]}
    for here, there in ((east, west), (west, east)):
        wait_until(lambda here=here, there=there: accepted_by(here, there).get("status") == "True", 20,
                   f"{there.id} says that it accepts all of {here.id}")


def test_a_refused_prefix_is_said_on_the_refused_side_until_a_refresh(mesh):
    """A node of west gets a prefix outside of what the others allow. Before, west showed nothing."""
    east, west, north, _ = mesh
    kept = east.store.get("ClusterPeer", "west")
    kept["spec"]["imports"] = [{"namespace": "shop", "service": "*"}]
    kept["metadata"]["labels"] = {"team": "net"}
    kept.pop("status", None)
    east.store.put(kept)
    west.store.put(objects.node("stray", ["172.20.2.200"], [GROWN]))
    try:
        told = wait_until(lambda: accepted_by(west, east).get("status") == "False" and accepted_by(west, east),
                          20, "west shows that east refuses its prefix")
        assert told["reason"] == "OutsideAllowed" and GROWN in told["message"], told
        assert "causewayctl pair --refresh" in told["message"]
        status = ctl(west, "status").stdout
        assert f"cluster east: AcceptedByPeer: cluster east refuses {GROWN}" in status, status
        done = pair(east, east, west, north, flags=["--refresh"])
        assert f"{GROWN} is allowed now" in done.stdout, done.stdout
        for here in (east, north):
            assert GROWN in allowed(here, west)
            wait_until(lambda here=here: accepted_by(west, here).get("status") == "True", 30,
                       f"{here.id} accepts it, and west shows that")
            wait_until(lambda here=here: GROWN in here.store.get("ClusterPeer", "west")["status"]["cidrs"], 20,
                       f"the prefix counts in {here.id}")
        assert "AcceptedByPeer" not in ctl(west, "status").stdout
        refreshed = east.store.get("ClusterPeer", "west")
        assert refreshed["spec"]["imports"] == [{"namespace": "shop", "service": "*"}], "the imports are east's own"
        assert refreshed["metadata"]["labels"] == {"team": "net"}
    finally:
        west.store.remove("Node", "stray")


def test_a_range_of_the_settings_is_allowed_and_ended_by_a_refresh(mesh):
    east, west, _, _ = mesh
    settings = objects.config_map("causeway-system", "causeway-prefixes",
                                  {"ranges": f"{west.cluster.pod_cidr}, 10.143.0.0/16"})
    west.store.put(settings)
    try:
        pair(east, east, west, flags=["--refresh"])
        assert allowed(east, west) == [west.cluster.pod_cidr, "10.143.0.0/16"]
        settings["data"]["ranges"] = west.cluster.pod_cidr
        west.store.put(settings)
        done = pair(east, east, west, flags=["--refresh"])
        assert "10.143.0.0/16 is no longer allowed" in done.stdout, done.stdout
        assert allowed(east, west) == [west.cluster.pod_cidr]
        assert ping(east.pod.machine, west.pod.ip), "traffic goes on"
    finally:
        west.store.remove("ConfigMap", "causeway-prefixes", "causeway-system")


def test_a_gateway_that_comes_later_is_refused_until_a_refresh(mesh):
    """Keys come from pairing only. The others say that they do not know the gateway."""
    east, west, north, _ = mesh
    west.causeway.gateways[1].start()
    told = wait_until(lambda: accepted_by(west, east).get("reason") == "UnknownGateway" and accepted_by(west, east),
                      30, "west shows that east does not know its gateway")
    assert "gateway 1" in told["message"] and "--refresh" in told["message"], told
    assert "gateway 1" in ctl(west, "status").stdout
    refused = pair(east, east, west, check=False)
    assert refused.returncode == 2 and "--refresh" in refused.stderr, refused
    assert "west/1" in refused.stderr and "(new)" in refused.stderr, "its fingerprint can be compared"
    done = pair(east, east, west, north, flags=["--refresh"])
    assert done.stdout.count("gateway west/1 is new: ") == 2, done.stdout
    wait_until(lambda: accepted_by(west, east).get("status") == "True", 30, "nothing is refused any more")
    wait_until(lambda: [t["state"] for _, t in east.causeway.tunnels() if t["cluster"] == "west"] == ["up", "up"],
               30, "both tunnels to west are up")


def test_the_preshared_key_outlives_a_refresh(mesh):
    east, west, _, _ = mesh
    secret = base64.b64encode(base64.b64encode(os.urandom(32))).decode()
    for here, there in ((east, west), (west, east)):
        here.store.put({"apiVersion": "v1", "kind": "Secret", "data": {"presharedKey": secret},
                        "metadata": {"namespace": "causeway-system", "name": f"{there.id}-psk"}})
        peer = here.store.get("ClusterPeer", there.id)
        peer["spec"]["presharedKeySecret"] = f"{there.id}-psk"
        peer.pop("status", None)
        here.store.put(peer)
    done = pair(east, east, west, flags=["--refresh"])
    assert done.stdout.count("nothing changed") == 2, done.stdout
    assert east.store.get("ClusterPeer", "west")["spec"]["presharedKeySecret"] == "west-psk"
    wait_until_reached(east, west, deadline=60)


def test_a_cluster_that_is_gone_is_unpaired_from_one_side(mesh):
    """The last scenario of the mesh: it ends west."""
    east, west, north, _ = mesh
    make_service(west.cluster, "shop", "web", {"echo": TCP_PORT}, {"web-0": west.pod})
    export(west.cluster, "shop", "web")
    wait_until(lambda: east.store.get("RemoteExport", "web.west", "shop"), 20, "east imports the Service")
    for daemon in west.causeway.all:
        if daemon.running():
            daemon.kill()
    for keeper, other in ((east, west), (west, east)):
        keeper.world.watch.end(keeper.cluster, other.cluster)
    done = ctl(east, "unpair", "west", timeout=90)
    assert "cluster west is no longer a peer" in done.stdout
    assert "unpair east" in done.stdout, "it says how to end it on the other side"
    assert east.store.get("ClusterPeer", "west") is None
    assert east.store.get("Secret", "west-psk", "causeway-system") is None
    assert east.store.get("Secret", "causeway-gateway-0", "causeway-system"), "the gateway keeps its own key"
    assert not [one for one in east.store.list("RemoteExport") if one["spec"]["cluster"] == "west"]
    assert west.store.get("ClusterPeer", "east"), "the other side was not touched"
    assert ping(east.pod.machine, north.pod.ip), "the other peers go on"
    assert pair(east, east, west, flags=["--refresh"], check=False).returncode == 1, "only peers are refreshed"
    remove_service(west.cluster, "shop", "web")


# Stores without daemons: what the command checks and writes.

class Paper:
    """A cluster of which only the store exists."""

    def __init__(self, world, cluster_id, cidr):
        self.id, self.world = cluster_id, world
        self.store = DirectoryStore(world.folder / f"paper-{cluster_id}")
        number = int(cidr.split(".")[1])
        self.store.put(objects.cluster_property("cluster.clusterset.k8s.io", cluster_id))
        self.store.put(objects.node(f"{cluster_id}-0", [f"172.30.{number}.1"], [cidr]))
        self.gateway(0)

    def gateway(self, ordinal):
        number = len(self.store.list("TunnelGateway")) + 1
        self.store.put({"apiVersion": "causeway.dev/v1alpha1", "kind": "TunnelGateway",
                        "metadata": {"name": f"gateway-{ordinal}"},
                        "spec": {"ordinal": ordinal, "node": f"{self.id}-0", "nodeIp": f"172.30.1.{number}",
                                 "publicKey": base64.b64encode(os.urandom(32)).decode(),
                                 "endpoints": [f"192.0.2.{number}:4500"], "controlAddress": f"fd01::{number}"}})


@pytest.fixture
def papers(own_world):
    papers = [Paper(own_world, name, f"10.{number}.0.0/24")
              for number, name in enumerate(("east", "west", "north"), 41)]
    return own_world, papers


def join(papers, *sites, flags=()):
    world, _ = papers
    return world.wan.run(world.program("causewayctl"), "pair", *flags,
                         *[f"dir:{one.store.folder}" for one in sites], check=False, timeout=30)


def peers(*sites):
    return {site.id: [peer["metadata"]["name"] for peer in site.store.list("ClusterPeer")] for site in sites}


def test_an_overlap_is_found_before_anything_is_written(papers):
    east, west, north = papers[1]
    north.store.put(objects.node("more", ["172.30.9.9"], ["10.42.0.0/24"]))
    done = join(papers, east, west, north)
    assert done.returncode == 2 and "10.42.0.0/24" in done.stderr, done
    assert "overlaps" in done.stderr.splitlines()[-1], done.stderr
    assert peers(east, west, north) == {"east": [], "west": [], "north": []}


def test_a_store_that_cannot_be_written_leaves_the_others_paired(papers):
    world, (east, west, north) = papers
    folder = north.store.folder / "clusterpeers"
    folder.mkdir()
    world.wan.sh(f"mount --bind {folder} {folder} && mount -o remount,bind,ro {folder}")
    done = join(papers, east, west, north)
    assert done.returncode == 1, done
    assert "not written: east at north, west at north" in done.stderr, done.stderr
    assert f"causewayctl pair dir:{east.store.folder}" in done.stderr, "it says what to repeat"
    assert peers(east, west) == {"east": ["north", "west"], "west": ["east", "north"]}
    world.wan.sh(f"umount {folder}")
    done = join(papers, east, west, north)
    assert done.returncode == 0 and done.stdout.count("nothing changed") == 4, done
    assert peers(north) == {"north": ["east", "west"]}


def test_nonsense_is_refused_in_one_line(papers):
    east, west, _ = papers[1]
    for flags, stores, code, says in (
            ((), (east,), 2, "two or more stores"),
            ((), (east, east), 2, "the same cluster, east"),
            (("--refresh",), (east,), 2, "two or more stores"),
            (("--refresh",), (east, west), 1, "west is not a peer of east"),
            (("--refresh", "--share", "data/pg"), (east, west), 2, "--share"),
            (("--cidr", "10.41.0.0/16"), (east, west), 2, "CLUSTER=PREFIX"),
            (("--cidr", "south=10.44.0.0/16"), (east, west), 2, "none of the clusters is south")):
        done = join(papers, *stores, flags=flags)
        assert done.returncode == code and says in done.stderr.splitlines()[-1], (flags, done)
        assert peers(east, west) == {"east": [], "west": []}


def test_ranges_may_be_named_by_cluster(papers):
    east, west, _ = papers[1]
    done = join(papers, east, west, flags=["--cidr", "west=10.42.0.0/16"])
    assert done.returncode == 0, done
    assert east.store.get("ClusterPeer", "west")["spec"]["allowedCidrs"] == ["10.42.0.0/16"]
    assert west.store.get("ClusterPeer", "east")["spec"]["allowedCidrs"] == ["10.41.0.0/24"]
    # West's own store names no range. A refresh takes nothing away of what was allowed by hand.
    done = join(papers, east, west, flags=["--refresh"])
    assert done.stdout.count("nothing changed") == 2, done


def test_the_other_side_of_a_cluster_that_cannot_be_read_is_named(papers):
    world, (east, west, _) = papers
    assert join(papers, east, west).returncode == 0
    done = world.wan.run(world.program("causewayctl"), "unpair", f"dir:{east.store.folder}",
                         "kube:/nowhere/config", check=False, timeout=30)
    assert done.returncode != 0 and "unpair CLUSTER" in done.stderr, done
    done = world.wan.run(world.program("causewayctl"), "--store", f"dir:{east.store.folder}", "unpair", "west",
                         check=False, timeout=30)
    assert done.returncode == 0 and peers(east, west) == {"east": [], "west": ["east"]}, done
