"""No acknowledged row is ever lost when a whole cluster is lost, with the database's primary in it."""

import time

import pytest

from fabric.etcd import Member
from fabric.postgres import PASSWORD, Postgres
from fabric.records import RecordingWriter
from fabric.services import export, make_service, share
from fabric.site import Site, join
from fabric.wait import wait_until


def pg_name(site):
    return f"pg-0.{site.id}.pg.data.svc.clusterset.local"


def resolves(site, name):
    return site.pod.machine.run("getent", "ahosts", name, check=False).returncode == 0


def synchronous_pair(here, there):
    """A primary at `here` that acknowledges only rows that the standby at `there` has applied."""
    for site in (here, there):
        make_service(site.cluster, "data", "pg", {"postgres": 5432}, {"pg-0": site.pod},
                     headless=True)
        export(site.cluster, "data", "pg")
    share("data", "pg", here.cluster, there.cluster)
    primary, standby = Postgres(here.pod, "primary"), Postgres(there.pod, "standby")
    primary.make_primary()
    primary.sql("CREATE TABLE acked(number bigint PRIMARY KEY)")
    for name in (pg_name(here), pg_name(there)):
        wait_until(lambda name=name: resolves(there, name), 15, f"{name} resolves")
    standby.make_standby_of(pg_name(here))
    primary.sql("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
    primary.sql("ALTER SYSTEM SET synchronous_commit = 'remote_apply'")
    primary.sql("SELECT pg_reload_conf()")
    wait_until(lambda: primary.sql("SELECT sync_state FROM pg_stat_replication") == "sync", 15,
               "replication is synchronous")
    return primary, standby


def writer_at(site, primary, hosts):
    conninfo = (f"host={','.join(hosts)} user=replicator password={PASSWORD} dbname=postgres "
                "target_session_attrs=read-write connect_timeout=2 tcp_user_timeout=2000")
    primary.sql("GRANT ALL ON acked TO replicator")
    return RecordingWriter(site.pod.machine, "pgwriter", conninfo, "FILE")


@pytest.mark.timing
def test_no_acknowledged_row_is_missing_after_the_primarys_cluster_is_lost(own_world, tell):
    east, west = Site(own_world, "east"), Site(own_world, "west")
    join(east, west)
    primary, standby = synchronous_pair(east, west)
    writer = writer_at(west, primary, [pg_name(east), pg_name(west)])
    try:
        # First a gateway of each side is lost: the writer's and the standby's connections go on.
        for site, other in ((east, west), (west, east)):
            carrier = site.carrier_to(other)
            struck = time.monotonic_ns()
            site.crash_gateway(carrier)
            wait_until(lambda: writer.first_after(struck + 1_500_000_000), 15, "writes go on")
            longest = max(b - a for (_, a), (_, b) in zip(writer.records()[-5000:],
                                                         writer.records()[-5000:][1:]))
            tell(f"{site.id}'s gateway lost: no acknowledgement for {longest / 1e6:.0f} ms")
            assert longest <= 3_000_000_000
            site.recover_gateway(carrier)
            wait_until(lambda site=site, n=carrier: not site.causeway.gateways[n].why_not_ready()
                       and site.causeway.gateways[n].why_not_ready() is not None, 20, "it is back")
        struck = time.monotonic_ns()
        east.lose()
        standby.promote()
        promoted = time.monotonic_ns()
        works = wait_until(lambda: writer.first_after(promoted), 20, "writes work again")
        wait_until(lambda: writer.first_after(works + 500_000_000), 10, "and go on")
        acknowledged = {number for number, _ in writer.stop()}
        there = {int(row) for row in standby.sql("SELECT number FROM acked").split()}
        tell(f"{len(acknowledged)} rows acknowledged, {len(acknowledged - there)} missing; promoted "
             f"{(promoted - struck) / 1e6:.0f} ms after the loss, writes work "
             f"{(works - struck) / 1e6:.0f} ms after it")
        assert acknowledged - there == set()
        assert works - struck <= 10_000_000_000
    finally:
        standby.stop()
        primary.stop()


@pytest.mark.timing
def test_etcd_over_three_clusters_takes_writes_while_any_one_is_gone(own_world, tell):
    sites = [Site(own_world, name, gateways=2, ipv6=False) for name in ("east", "west", "north")]
    join(*sites)
    members = [Member(site, sites) for site in sites]
    for asker in sites:
        for member in members:
            wait_until(lambda asker=asker, member=member: resolves(
                asker, member.url.split("//")[1].split(":")[0]), 15, "the members' names resolve")
    for member in members:
        member.start()
    for member in members:
        member.wait()
    acknowledged = set()
    for lost, site in enumerate(sites):
        others = [member for member in members if member.site is not site]
        led = members[lost].leads()
        writer = RecordingWriter(others[0].pod.machine, "etcdwriter", "FILE",
                                 members[lost].url, *[member.url for member in others])
        struck = time.monotonic_ns()
        site.lose()
        # The writer asks the lost member first, then goes on with another one.
        works = wait_until(lambda: writer.first_after(struck + 1_500_000_000), 20, "writes work")
        wait_until(lambda: writer.first_after(works + 1_000_000_000), 20, "and go on")
        times = [at for _, at in writer.records()]
        longest = max(b - a for a, b in zip(times, times[1:]))
        done = {number for number, _ in writer.stop()}
        missing = done - others[1].count()
        tell(f"{site.id} lost{' (the leader)' if led else ''}: no acknowledgement for "
             f"{longest / 1e6:.0f} ms; {len(done)} acknowledged, {len(missing)} missing")
        assert missing == set()
        assert longest <= 8_000_000_000
        acknowledged |= done
        site.recover()
        members[lost].wait()
    for member in members:
        assert acknowledged - member.count() == set(), f"{member.site.id} has all"
