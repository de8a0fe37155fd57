"""Images without a container engine: root file systems packed as docker archives."""

import hashlib
import io
import json
import os
import pathlib
import shutil
import subprocess
import tarfile

from kube.programs import program

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROOTFS = ROOT / "charts/image/rootfs.sh"

PAUSE = """
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
static void end(int signal) { (void)signal; _exit(0); }
static void reap(int signal) { (void)signal; while (waitpid(-1, 0, WNOHANG) > 0) {} }
int main(void) {
  signal(SIGINT, end); signal(SIGTERM, end); signal(SIGCHLD, reap);
  for (;;) pause();
}
"""

POSTGRES = pathlib.Path("/usr/lib/postgresql/15")
TOOLS = ["bash", "curl", "dig", "ping", "ip", "ss"]
APPLETS = ("sh cat ls sleep nc httpd wget date seq head tail grep sed awk env mkdir chmod chown rm "
           "test true false hostname id sort uniq wc tr").split()


def archive(folder, tag, out, entrypoint=()):
    """A docker archive (docker save's format) of one layer made of `folder`."""
    def plain(entry):
        entry.mtime = 0
        return entry
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        for name in sorted(os.listdir(folder)):
            tar.add(folder / name, name, filter=plain)
    data = layer.getvalue()
    digest = hashlib.sha256(data).hexdigest()
    config = json.dumps({
        "architecture": "amd64", "os": "linux", "created": "1970-01-01T00:00:00Z",
        "config": {"Entrypoint": list(entrypoint), "WorkingDir": "/",
                   "Env": ["PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + digest]},
        "history": [{"created": "1970-01-01T00:00:00Z"}]}).encode()
    name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = json.dumps([{"Config": name, "RepoTags": [tag],
                            "Layers": [digest + "/layer.tar"]}]).encode()
    with tarfile.open(out, "w") as tar:
        for entry, content in ((name, config), (digest + "/layer.tar", data),
                               ("manifest.json", manifest)):
            info = tarfile.TarInfo(entry)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out


def copy_program(source, root, target=None):
    """A program and every library it is linked to."""
    source = pathlib.Path(source)
    place = root / (target or f"usr/bin/{source.name}")
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source.resolve(), place)
    linked = subprocess.run(["ldd", source], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                            text=True, check=False).stdout
    for line in linked.splitlines():
        path = next((word for word in line.split() if word.startswith("/")), None)
        if path:
            library = root / path.replace("/usr/", "/").lstrip("/").replace("lib", "usr/lib", 1)
            if not library.exists():
                library.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(os.path.realpath(path), library)


def skeleton(root):
    for folder in ("usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "etc", "tmp", "var", "run",
                   "proc", "sys", "dev"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for link in ("bin", "sbin", "lib", "lib64"):
        (root / link).symlink_to(f"usr/{link}")
    (root / "tmp").chmod(0o1777)
    (root / "etc/passwd").write_text("root:x:0:0:root:/:/bin/sh\n"
                                     "postgres:x:70:70:postgres:/var:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\npostgres:x:70:\n")
    (root / "etc/nsswitch.conf").write_text("hosts: files dns\n")
    for module in ("libnss_files.so.2", "libnss_dns.so.2"):
        found = pathlib.Path("/usr/lib/x86_64-linux-gnu") / module
        if found.exists():
            place = root / "usr/lib/x86_64-linux-gnu" / module
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(found, place)


def tools_root(root):
    """The root file system of the tests' pods: shell, network tools and PostgreSQL."""
    skeleton(root)
    shutil.copy2("/usr/bin/busybox", root / "usr/bin/busybox")
    for name in APPLETS:
        (root / "usr/bin" / name).symlink_to("busybox")
    for name in TOOLS:
        copy_program(shutil.which(name), root)
    for name in ("postgres", "initdb", "pg_basebackup", "psql", "pg_isready", "pg_ctl"):
        copy_program(POSTGRES / "bin" / name, root, f"usr/lib/postgresql/15/bin/{name}")
    shutil.copytree(POSTGRES / "lib", root / "usr/lib/postgresql/15/lib",
                    ignore=shutil.ignore_patterns("bitcode", "llvmjit*", "pgxs"))
    for library in ("libpqwalreceiver.so",):
        copy_program(POSTGRES / "lib" / library, root, f"usr/lib/postgresql/15/lib/{library}")
    shutil.copytree("/usr/share/postgresql/15", root / "usr/share/postgresql/15",
                    ignore=shutil.ignore_patterns("extension", "man"))
    (root / "usr/share/postgresql/15/extension").mkdir()
    for entry in pathlib.Path("/usr/share/postgresql/15/extension").glob("plpgsql*"):
        shutil.copy2(entry, root / "usr/share/postgresql/15/extension")
    shutil.copytree("/usr/share/zoneinfo/Etc", root / "usr/share/zoneinfo/Etc")


def causeway(folder, build, tag):
    """Our image: the one made from the Dockerfile (CAUSEWAY_IMAGE), or the same root file system packed here."""
    if given := os.environ.get("CAUSEWAY_IMAGE"):
        # Nodes see this folder, and have a /tmp of their own.
        return pathlib.Path(shutil.copy(given, folder / "causeway.tar"))
    root = folder / "causeway"
    subprocess.run([ROOTFS, build, root], check=True)
    return archive(root, f"docker.io/library/causeway:{tag}", folder / "causeway.tar")


def build_all(folder, build, tag="e2e"):
    """The archives of all images, in `folder`: pause, CoreDNS, tools and ours."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    pause = folder / "pause"
    pause.mkdir()
    (folder / "pause.c").write_text(PAUSE)
    subprocess.run(["gcc", "-Os", "-static", "-o", pause / "pause", folder / "pause.c"],
                   check=True)
    subprocess.run(["strip", pause / "pause"], check=True)
    dns = folder / "coredns"
    skeleton(dns)
    shutil.copy2(program("coredns"), dns / "coredns")
    tools = folder / "tools"
    tools_root(tools)
    made = [archive(pause, "registry.k8s.io/pause:3.10", folder / "pause.tar", ["/pause"]),
            archive(dns, "docker.io/library/coredns:e2e", folder / "coredns.tar", ["/coredns"]),
            archive(tools, "docker.io/library/tools:e2e", folder / "tools.tar"),
            causeway(folder, build, tag)]
    for root in (pause, dns, tools):
        shutil.rmtree(root)
    return made
