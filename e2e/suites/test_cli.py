"""causewayctl on a running pair of clusters."""

import json

import yaml

from fabric.ctl import ctl
from fabric.dns import ask
from fabric.services import make_service, remove_service
from fabric.site import Site, wait_until_reached
from fabric.traffic import TCP_PORT
from fabric.wait import wait_until

NAME = "web.shop.svc.clusterset.local"


def test_pairing_by_what_each_side_exports(own_world):
    """`pair export` on one side gives all that the other side needs."""
    east = Site(own_world, "east", gateways=1).start()
    west = Site(own_world, "west", gateways=1).start()
    for here, there in ((east, west), (west, east)):
        wait_until(here.causeway.announced, 20, f"{here.id}'s gateway announces itself")
        text = ctl(here, "pair", "export").stdout
        assert "private" not in text.lower(), "it holds no secret"
        bodies = list(yaml.safe_load_all(text))
        assert [body["kind"] for body in bodies] == ["ClusterPeer"]
        assert bodies[0]["spec"]["clusterId"] == here.id
        there.store.put(bodies[0])
    wait_until_reached(east, west)
    wait_until_reached(west, east)


def test_status_shows_every_tunnel(east, west):
    wait_until(lambda: [t["state"] for _, t in east.causeway.tunnels()] == ["up"] * 4, 20,
               "all four tunnels are up")
    text = ctl(east, "status").stdout
    assert "\x1b" not in text, "colours belong on a terminal only"
    assert "west" in text
    for node in east.cluster.gateway_nodes:
        assert node.name in text
    tree = json.loads(ctl(east, "status", "-o", "json").stdout)
    assert yaml.safe_load(ctl(east, "status", "-o", "yaml").stdout).keys() == tree.keys()
    assert text.count(" up ") + text.count(" up\n") >= 4, text


def test_export_and_unexport(east, west):
    make_service(east.cluster, "shop", "web", {"echo": TCP_PORT}, {"web-0": east.pod})
    ctl(east, "export", "shop/web")
    wait_until(lambda: ask(west.pod.machine, west.causeway.dns, NAME).data("A") == [east.pod.ip],
               10, "the exported name resolves")
    told = ctl(west, "resolve", NAME).stdout
    assert "east" in told and east.pod.ip in told
    ctl(east, "unexport", "shop/web")
    wait_until(lambda: ask(west.pod.machine, west.causeway.dns, NAME).status == "NXDOMAIN", 10,
               "the name is gone")
    missing = ctl(west, "resolve", NAME, check=False)
    assert missing.returncode != 0 and (missing.stdout + missing.stderr).strip()
    remove_service(east.cluster, "shop", "web")


def test_mistakes_are_told_in_one_line(east):
    for arguments in (("export", "shop/none"), ("export", "no-namespace-and/too/many"),
                      ("unexport", "shop/none"), ("frobnicate",)):
        done = ctl(east, *arguments, check=False)
        assert done.returncode != 0, arguments
        assert done.stderr.strip(), arguments
