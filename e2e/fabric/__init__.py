"""Clusters as network namespaces: machines, underlays, a WAN, and the daemons on them.

Needs root, iproute2, nftables, iptables, util-linux and Debian's python3 with python3-yaml. In the host's own
namespaces it makes one folder under /tmp and nothing else. The folder goes away with the process that made
it, however that process ends.
"""
