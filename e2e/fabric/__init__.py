"""Clusters as network namespaces: machines, underlays, a WAN, and the daemons on them.

Needs root, iproute2, nftables, iptables, util-linux and Debian's python3 with python3-yaml.
Nothing is made in the host's own namespaces except one folder under /tmp, and that goes away with
the process that made it, however it ends.
"""
