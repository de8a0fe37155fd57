"""A cluster's directory store, as an administrator would edit it: one YAML file per object."""

import os
import pathlib
import time

import yaml

# Kinds of other programs have their CRD's name.
PLURALS = {"ClusterProperty": "clusterproperties",
           "BlockAffinity": "blockaffinities.crd.projectcalico.org",
           "IPPool": "ippools.crd.projectcalico.org",
           "IPAMBlock": "ipamblocks.crd.projectcalico.org",
           "IPAMConfig": "ipamconfigs.crd.projectcalico.org",
           "CiliumNode": "ciliumnodes.cilium.io"}


def plural_of(kind):
    return PLURALS.get(kind, kind.lower() + "s")


class DirectoryStore:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)

    def path(self, kind, name, ns=""):
        place = self.folder / plural_of(kind)
        return (place / ns if ns else place) / f"{name}.yaml"

    def put(self, body):
        """Creates or replaces an object, atomically. Keeps a status that daemons wrote."""
        meta = body["metadata"]
        path = self.path(body["kind"], meta["name"], meta.get("namespace", ""))
        path.parent.mkdir(parents=True, exist_ok=True)
        stored = self._read(path)
        if stored:
            kept = stored.get("metadata", {})
            body = {**body, "metadata": {**kept, **meta}}
            if "status" in stored and "status" not in body:
                body["status"] = stored["status"]
        else:
            created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            body = {**body, "metadata": {"creationTimestamp": created, **meta}}
        fresh = path.with_name(f".{path.name}.{os.getpid()}")
        fresh.write_text(yaml.safe_dump(body, sort_keys=False))
        fresh.rename(path)

    def get(self, kind, name, ns=""):
        """The object, or None."""
        return self._read(self.path(kind, name, ns))

    def list(self, kind):
        found = []
        for path in sorted((self.folder / plural_of(kind)).glob("**/*.yaml")):
            body = self._read(path)
            if body:
                found.append(body)
        return found

    def remove(self, kind, name, ns=""):
        self.path(kind, name, ns).unlink(missing_ok=True)

    def conditions(self, kind, name, ns=""):
        """Condition type -> condition, empty if there is no such object."""
        body = self.get(kind, name, ns) or {}
        return {c["type"]: c for c in body.get("status", {}).get("conditions", [])}

    @staticmethod
    def _read(path):
        try:
            return yaml.safe_load(path.read_text())
        except FileNotFoundError:
            return None
