"""The paths of the Kubernetes programs, which are built once if they are missing."""

import functools
import pathlib
import subprocess

HERE = pathlib.Path(__file__).resolve().parent


@functools.cache
def folder():
    done = subprocess.run([HERE / "programs.sh"], stdout=subprocess.PIPE, text=True, check=True,
                          timeout=2400)
    return pathlib.Path(done.stdout.strip().splitlines()[-1])


def program(name):
    return folder() / name
