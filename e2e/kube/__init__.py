"""Real Kubernetes clusters on this machine: control planes and nodes in namespaces."""
