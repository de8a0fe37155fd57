"""A PostgreSQL primary in one cluster, and a standby in another that finds it by its exported pod name."""

from fabric.wait import wait_until
from kube.pods import pods_of

POSTGRES = """
apiVersion: v1
kind: Service
metadata: {{name: pg, namespace: demo}}
spec: {{clusterIP: None, selector: {{app: pg}}, ports: [{{name: postgres, port: 5432}}]}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: {name}, namespace: demo}}
spec:
  serviceName: pg
  selector: {{matchLabels: {{app: pg}}}}
  template:
    metadata: {{labels: {{app: pg}}}}
    spec:
      terminationGracePeriodSeconds: 1
      securityContext: {{runAsUser: 70, runAsGroup: 70, fsGroup: 70}}
      containers:
        - name: postgres
          image: docker.io/library/tools:e2e
          imagePullPolicy: Never
          env: [{{name: PATH, value: "/usr/lib/postgresql/15/bin:/usr/bin:/bin"}}, {{name: LC_ALL, value: C}}]
          command:
            - sh
            - -ec
            - |
              {make}
              exec postgres -D /data/db -c listen_addresses='*' -c unix_socket_directories=/tmp \\
                -c fsync=off -c shared_buffers=16MB -c wal_receiver_timeout=5s \\
                -c wal_sender_timeout=5s -c wal_receiver_status_interval=200ms -c jit=off
          readinessProbe: {{exec: {{command: [pg_isready, -q, -h, /tmp]}}, periodSeconds: 1}}
          volumeMounts: [{{name: data, mountPath: /data}}]
      volumes: [{{name: data, emptyDir: {{}}}}]
"""
PRIMARY = """initdb -D /data/db -A trust -U postgres --no-sync --no-instructions -E UTF8
              echo 'host all,replication all 10.0.0.0/8 trust' >> /data/db/pg_hba.conf"""
STANDBY = """pg_basebackup -D /data/db -R --checkpoint=fast --no-sync -d \\
                'host=pg-0.{primary}.pg.demo.svc.clusterset.local user=postgres application_name=standby connect_timeout=5'"""


def sql(cluster, pod, statement):
    return cluster.kubectl("-n", "demo", "exec", pod, "--", "psql", "-XqAt", "-h", "/tmp", "-U",
                           "postgres", "-c", statement).stdout.strip()


def stream(primary, standby, ctl):
    """Makes both, and waits until the standby has the primary's rows."""
    primary.apply(POSTGRES.format(name="pg", make=PRIMARY))
    ctl("--store", primary.name, "export", "demo/pg")
    pods_of(primary, "app=pg", count=1)
    name = f"pg-0.{primary.name}.pg.demo.svc.clusterset.local"
    wait_until(lambda: standby.pods[0].lookup(name), 30, f"{name} resolves", every=0.2)
    standby.apply(POSTGRES.format(name="standby", make=STANDBY.format(primary=primary.name)))
    pods_of(standby, "app=pg", count=1)
    wait_until(lambda: sql(primary, "pg-0", "SELECT state FROM pg_stat_replication") == "streaming",
               30, "the standby streams", every=0.3)
    address = standby.get("-n", "demo", "pod", "standby-0")["status"]["podIP"]
    assert sql(primary, "pg-0", "SELECT client_addr FROM pg_stat_replication") == address
    sql(primary, "pg-0", "CREATE TABLE t AS SELECT generate_series(1, 1000) AS n")
    wait_until(lambda: sql(standby, "standby-0", "SELECT count(*) FROM t") == "1000", 10,
               "the standby has the rows", every=0.2)
