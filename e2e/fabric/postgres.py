"""PostgreSQL 15 in pods: a primary, and standbys that stream from it by name."""

import os
import pwd

from fabric.wait import wait_until

BIN = "/usr/lib/postgresql/15/bin"
PASSWORD = "replication-password"  # the server lives for one test only

# Timers as an operator sets them for databases in several sites. A dead peer is noticed within seconds, and
# connections survive a short outage of the network.
SETTINGS = """
listen_addresses = '*'
fsync = off
shared_buffers = 16MB
max_connections = 30
wal_level = replica
max_wal_senders = 5
hot_standby = on
wal_sender_timeout = 5s
wal_receiver_timeout = 5s
wal_receiver_status_interval = 200ms
wal_retrieve_retry_interval = 500ms
autovacuum = off
jit = off
"""

ACCESS = """
local all         all                  trust
host  all         all     10.0.0.0/8   scram-sha-256
host  replication all     10.0.0.0/8   scram-sha-256
host  all         all     fd00::/8     scram-sha-256
host  replication all     fd00::/8     scram-sha-256
"""


class Postgres:
    """A server in a pod, with its data in the run's folder, as the user postgres."""

    def __init__(self, pod, name):
        self.pod, self.name = pod, name
        self.folder = pod.node.cluster.folder / f"pg-{name}"
        self.folder.mkdir()
        user = pwd.getpwnam("postgres")
        os.chown(self.folder, user.pw_uid, user.pw_gid)
        self.data = self.folder / "data"
        self.process = None

    def _as_postgres(self, *command):
        return ["env", f"PGPASSWORD={PASSWORD}", "LC_ALL=C", "setpriv", "--reuid=postgres",
                "--regid=postgres", "--init-groups", *command]

    def _run(self, *command, **options):
        return self.pod.machine.run(*self._as_postgres(*command), timeout=60, **options)

    def make_primary(self):
        self._run(f"{BIN}/initdb", "-D", self.data, "-A", "trust", "-U", "postgres",
                  "--no-sync", "--no-instructions", "-E", "UTF8")
        (self.data / "pg_hba.conf").write_text(ACCESS)
        self._configure()
        self.start()
        self.sql(f"CREATE ROLE replicator LOGIN REPLICATION PASSWORD '{PASSWORD}'")

    def make_standby_of(self, host):
        """Copies the primary at `host`, a name, and streams from it by that name."""
        self._run(f"{BIN}/pg_basebackup", "-D", self.data, "-R", "--wal-method=stream",
                  "--checkpoint=fast", "--no-sync",
                  "-d", f"host={host} user=replicator application_name={self.name} "
                        f"connect_timeout=5 tcp_user_timeout=5000")
        self._configure()
        self.start()

    def _configure(self):
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as config:
            config.write(SETTINGS + f"unix_socket_directories = '{self.folder}'\n")

    def start(self):
        self.process = self.pod.machine.spawn(
            f"postgres-{self.name}", *self._as_postgres(f"{BIN}/postgres", "-D", str(self.data)))
        wait_until(lambda: self._run(f"{BIN}/pg_isready", "-q", "-h", self.folder,
                                     check=False).returncode == 0, 30,
                   f"PostgreSQL {self.name} accepts connections", every=0.1)

    def sql(self, statement):
        """The result as text, one line per row, columns separated by |."""
        return self._run("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h",
                         self.folder, "-U", "postgres", "-c", statement).stdout.strip()

    def number(self, statement):
        return int(self.sql(statement) or 0)

    def promote(self):
        self.sql("SELECT pg_promote(wait => true, wait_seconds => 20)")

    def streaming_from(self):
        """On a standby: the host that it streams from now, or ""."""
        return self.sql("SELECT sender_host FROM pg_stat_wal_receiver WHERE status = 'streaming'")

    def replication(self):
        """On the primary: (client address, state, lag in bytes, backend start) of the standby, or
        None. A changed backend start means that the standby had to connect again."""
        row = self.sql("SELECT client_addr, state, pg_wal_lsn_diff(sent_lsn, replay_lsn), "
                       "backend_start FROM pg_stat_replication LIMIT 1")
        if not row:
            return None
        address, state, lag, started = row.split("|")
        return address, state, int(lag or 0), started

    def stop(self):
        """Immediate shutdown: a test's data needs no checkpoint."""
        if self.process and self.process.alive():
            self.process.kill()


class Writer:
    """Writes rows, one every few milliseconds, with one psql on the primary until stopped."""

    def __init__(self, primary, every_ms=5):
        self.primary = primary
        primary.sql("CREATE TABLE IF NOT EXISTS rows(id bigserial PRIMARY KEY, "
                    "written timestamptz NOT NULL DEFAULT clock_timestamp())")
        loop = (f"DO $$ BEGIN LOOP INSERT INTO rows DEFAULT VALUES; COMMIT; "
                f"PERFORM pg_sleep({every_ms / 1000}); END LOOP; END $$")
        self._process = primary.pod.machine.spawn(
            f"writer-{primary.name}", *primary._as_postgres(
                "psql", "-X", "-q", "-h", str(primary.folder), "-U", "postgres", "-c", loop))

    def rows(self):
        return self.primary.number("SELECT count(*) FROM rows")

    def stop(self):
        if self._process.alive():
            self._process.kill()
        # The backend would end only when it next looks at its client. End it now, so that counts stay the
        # same.
        self.primary.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                         "WHERE query LIKE 'DO $$%'")
