"""Pods of the tests. They are reached through their node and not through the API server, so they work while
that is away."""

from fabric.wait import wait_until
from kube.control_plane import in_url

IMAGE = "docker.io/library/tools:e2e"

# A pod on every node that reports over HTTP its caller's address (who) and its own name (where).
TOOLS = f"""
apiVersion: v1
kind: Namespace
metadata: {{name: demo}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: tools, namespace: demo}}
spec:
  selector: {{matchLabels: {{app: tools}}}}
  template:
    metadata: {{labels: {{app: tools}}}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: tools
          image: {IMAGE}
          imagePullPolicy: Never
          command:
            - sh
            - -c
            - |
              mkdir -p /tmp/www/cgi-bin
              printf '%s\\n' '#!/bin/sh' 'echo Content-Type: text/plain' 'echo' 'echo "$REMOTE_ADDR"' > /tmp/www/cgi-bin/who
              printf '%s\\n' '#!/bin/sh' 'echo Content-Type: text/plain' 'echo' 'hostname' > /tmp/www/cgi-bin/where
              chmod +x /tmp/www/cgi-bin/who /tmp/www/cgi-bin/where
              exec httpd -f -p 8080 -h /tmp/www
          readinessProbe: {{tcpSocket: {{port: 8080}}, periodSeconds: 1}}
---
apiVersion: v1
kind: Service
metadata: {{name: tools, namespace: demo}}
spec:
  selector: {{app: tools}}
  ports: [{{name: http, port: 80, targetPort: 8080}}]
"""


class Pod:
    def __init__(self, cluster, name, addresses, node):
        """`addresses`: one of each of the cluster's families."""
        self.cluster, self.name, self.ips, self.ip = cluster, name, addresses, addresses[0]
        self.node = next(n for n in cluster.nodes if n.name == node)
        self._pings = 0
        script = (f"for n in /run/netns/*; do nsenter --net=$n ip -o addr | grep -qF ' {self.ip}/' "
                  "&& echo $n && exit; done")
        self.netns = wait_until(lambda: self.node.sh(script).strip(), 10, f"{name} has a network")

    def run(self, *command, **options):
        return self.node.run("nsenter", f"--net={self.netns}", "--", *command, **options)

    def sees_us_as(self, other, nth=0):
        """Our address as `other` sees it, or "" without an answer. `nth`: of the families that the pods have."""
        seen = self.run("curl", "-s", "-m", "2", f"http://{in_url(other.ips[nth])}:8080/cgi-bin/who",
                        check=False).stdout
        return seen.strip().strip("[]").removeprefix("::ffff:")  # busybox listens on [::]

    def lookup(self, name, kind="A", server=None):
        """The answer of the cluster's DNS, or of another server, as sorted lines."""
        shown = self.run("dig", "+short", "+time=1", "+tries=1",
                         f"@{server or self.cluster.plane.service_address(10)}", name, kind,
                         check=False).stdout
        return sorted(line for line in shown.splitlines() if not line.startswith(";"))

    def ping_for(self, other, seconds, every=0.05):
        """Starts a ping beside the test; losses() reads its result."""
        count = int(seconds / every)
        self._pings += 1  # each ping has a log of its own
        return self.node.spawn(f"ping-{self.name}-{self._pings}", "nsenter", f"--net={self.netns}", "--", "ping",
                               "-D", "-i", str(every), "-c", str(count), "-W", "1", other.ip)


def longest_silence(output):
    """The longest time between two answers of a ping -D, in seconds; 1000 with fewer than two answers."""
    times = [float(line[1:line.index("]")]) for line in output.splitlines()
             if line.startswith("[") and "bytes from" in line]
    gaps = [b - a for a, b in zip(times, times[1:])]
    return max(gaps, default=1000.0)


def pods_of(cluster, selector, namespace="demo", count=None):
    """The running pods of the selector, in the order of their nodes."""
    def found():
        items = cluster.get("-n", namespace, "pods", "-l", selector)["items"]
        ready = [i for i in items if i["status"].get("podIP")
                 and all(c.get("ready") for c in i["status"].get("containerStatuses", [{}]))
                 and not i["metadata"].get("deletionTimestamp")]
        return ready if len(ready) == (count or len(cluster.nodes)) else None
    items = wait_until(found, 120, f"{cluster.name}: pods {selector} run", every=0.3)
    return sorted((Pod(cluster, i["metadata"]["name"], [a["ip"] for a in i["status"]["podIPs"]],
                       i["spec"]["nodeName"]) for i in items), key=lambda p: p.node.name)
