"""causewayctl, run on a cluster's first gateway node."""


def ctl(site, *arguments, check=True, stdin=None, timeout=30):
    """Returns a CompletedProcess. A flag names the store of the site's cluster."""
    return site.cluster.nodes[0].machine.run(
        site.world.program("causewayctl"), "--store", f"dir:{site.store.folder}", *arguments,
        check=check, stdin=stdin, timeout=timeout)
