"""Fixtures of the scenarios on real Kubernetes. Run as root, through ./dev kube."""

import os
import pathlib
import shutil
import tempfile

import pytest

from kube.control_plane import ControlPlane, wait_for_crds

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = []


def build_folder():
    return pathlib.Path(os.environ.get("CAUSEWAY_BUILD", ROOT / "build/release")).resolve()


@pytest.fixture(scope="session")
def build():
    return build_folder()


@pytest.fixture(scope="session")
def run_folder():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="causeway-kube-"))
    folder.chmod(0o755)
    FOLDERS.append(folder)
    yield folder
    if os.environ.get("CAUSEWAY_E2E_KEEP"):
        print(f"kept: {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def plane(run_folder):
    """A control plane without controllers or nodes, with the CRDs: only an API."""
    made = ControlPlane("plain", pathlib.Path(tempfile.mkdtemp(dir=run_folder)))
    try:
        made.start(controllers=False)
        made.kubectl("apply", "-f", ROOT / "crds")
        wait_for_crds(made)
        yield made
    finally:
        made.remove()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Adds the ends of all logs to the report of a failure."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        parts = []
        for folder in FOLDERS:
            for log in sorted(folder.rglob("*.log")):
                try:
                    lines = log.read_text(errors="replace").splitlines()
                except OSError:
                    continue  # a pod's log that was rotated or removed meanwhile
                parts += [f"--- {log.relative_to(folder)}"] + lines[-15:] if lines else []
        report.sections.append(("logs", "\n".join(parts)[-40000:]))


@pytest.fixture(scope="session")
def underlay(run_folder):
    from kube.cluster import Underlay
    made = Underlay(run_folder)
    yield made
    made.remove()


@pytest.fixture(scope="session")
def images(run_folder, build):
    from kube.images import build_all
    return build_all(run_folder / "images", build)


@pytest.fixture(scope="session")
def clusters(run_folder, underlay, images, tell):
    """East and west with two nodes each and a pod on every node, without Causeway."""
    yield from two_clusters(run_folder, underlay, images, tell)


def two_clusters(folder, underlay, images, tell, **shapes):
    """`shapes`: what Cluster() takes, by the cluster's name."""
    import concurrent.futures
    import time

    from kube.cluster import Cluster
    from kube.pods import TOOLS

    began = time.monotonic()
    made = []
    try:
        for name in ("east", "west"):
            made.append(Cluster(name, folder, underlay, images, **shapes.get(name, {})))
        with concurrent.futures.ThreadPoolExecutor() as pool:
            list(pool.map(lambda cluster: cluster.start(), made))
        for cluster in made:
            cluster.apply(TOOLS)
        tell(f"two clusters of two nodes each are up after {time.monotonic() - began:.0f} s")
        yield made
    finally:
        for cluster in made:
            cluster.remove()


@pytest.fixture(scope="session")
def ctl(clusters, underlay, build):
    from kube.causeway import Ctl, two_contexts
    return Ctl(underlay.machine, build, two_contexts(clusters, clusters[0].folder.parent / "kubeconfig"))


@pytest.fixture(scope="session")
def joined(clusters, ctl, tell):
    """Both with Causeway installed by Helm, paired, and their pods reaching each other."""
    import concurrent.futures
    import time

    from kube.causeway import install, wait_until_reached
    from kube.pods import pods_of

    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(install, clusters))
    tell(f"Causeway is installed in both after {time.monotonic() - began:.0f} s")
    ctl("pair", "east", "west", "--share", "demo/tools")
    for cluster in clusters:
        cluster.pods = pods_of(cluster, "app=tools")
    began = time.monotonic()
    wait_until_reached(clusters[0].pods, clusters[1].pods)
    wait_until_reached(clusters[1].pods, clusters[0].pods)
    tell(f"all pods reach each other {time.monotonic() - began:.1f} s after pairing")
    return clusters
