"""The main job: a database standby that streams from another cluster by name."""

import pytest

from fabric.postgres import Postgres, Writer
from fabric.services import export, make_service
from fabric.wait import wait_until

NAME = "pg-0.east.pg.data.svc.clusterset.local"


@pytest.fixture(scope="module")
def servers(sites):
    east, west = sites
    primary = Postgres(east.pod, "primary")
    primary.make_primary()
    make_service(east.cluster, "data", "pg", {"postgres": 5432}, {"pg-0": east.pod}, headless=True)
    export(east.cluster, "data", "pg")
    wait_until(lambda: west.pod.machine.run("getent", "ahosts", NAME, check=False).returncode == 0,
               15, f"{NAME} resolves in west")
    standby = Postgres(west.pod, "standby")
    standby.make_standby_of(NAME)
    wait_until(lambda: primary.replication() is not None, 15, "the standby streams")
    yield primary, standby
    standby.stop()
    primary.stop()


def caught_up(primary, standby):
    return standby.number("SELECT count(*) FROM rows") == primary.number(
        "SELECT count(*) FROM rows")


def test_the_standby_streams_by_the_exported_name(servers, east, west):
    primary, standby = servers
    assert standby.streaming_from() == NAME
    address, state, _, _ = primary.replication()
    assert (address, state) in ((west.pod.ip, "streaming"), (west.pod.ip6, "streaming")), (
        "the primary sees the standby's own address")
    writer = Writer(primary)
    wait_until(lambda: writer.rows() > 200, 20, "rows are written")
    writer.stop()
    wait_until(lambda: caught_up(primary, standby), 10, "the standby has all rows")


@pytest.mark.parametrize("victim", ("east", "west"))
def test_replication_outlives_a_gateway(servers, sites, victim, tell):
    """The same TCP connection goes on: the WAL sender did not start again."""
    primary, standby = servers
    site, other = sites if victim == "east" else reversed(sites)
    before = primary.replication()[3]
    writer = Writer(primary)
    lost = wait_until(lambda: site.carrier_to(other) is not None, 10, "a gateway carries") and \
        site.carrier_to(other)
    site.crash_gateway(lost)
    try:
        wait_until(lambda: site.carrier_to(other) not in (None, lost), 10, "the other one carries")
        at_switch = writer.rows()
        wait_until(lambda: standby.number("SELECT count(*) FROM rows") > at_switch, 10,
                   "rows written after the switch arrive")
        writer.stop()
        wait_until(lambda: caught_up(primary, standby), 10, "the standby has all rows")
        assert primary.replication()[3] == before, "the standby had to connect again"
        tell(f"{victim}'s gateway {lost} crashed; {primary.number('SELECT count(*) FROM rows')} "
             "rows on both sides, same connection")
    finally:
        site.recover_gateway(lost)
        wait_until(lambda: site.causeway.gateways[lost].why_not_ready() == "", 20,
                   "the gateway is ready again")


def test_the_standby_takes_over(servers):
    primary, standby = servers
    wait_until(lambda: caught_up(primary, standby), 10, "the standby has all rows")
    rows = primary.number("SELECT count(*) FROM rows")
    primary.stop()
    standby.promote()
    assert standby.sql("SELECT pg_is_in_recovery()") == "f"
    standby.sql("INSERT INTO rows DEFAULT VALUES")
    assert standby.number("SELECT count(*) FROM rows") == rows + 1
