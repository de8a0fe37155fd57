"""The WireGuard implementations that are measured against one another, and how each is started."""

import os
import pathlib
import shutil
import subprocess

from fabric.pair import QUIET, Implementation, engine, wireguard_go

# Pinned: the newest versions at the time of writing. If a registry cannot be reached, its implementation is
# left out and the report says so.
WIREGUARD_GO = "golang.zx2c4.com/wireguard@v0.0.0-20260522210424-ecfc5a8d5446"
BORINGTUN = ("boringtun-cli", "0.7.1")
BUILD_SECONDS = 900


def all_of(build, before, say):
    """The available implementations, ours first. `before`: the build of another commit, or None."""
    found = [engine(build)]
    if before:
        found.append(Implementation("engine (before)", engine(before).command))
    if shutil.which("wireguard-go"):
        found.append(wireguard_go())
    folder = pathlib.Path(build).parent / "bench-peers"
    newest = folder / "wireguard"
    if made(newest, say, ["go", "install", WIREGUARD_GO], {"GOBIN": str(folder)}):
        found.append(Implementation("wireguard-go (newest)", [str(newest), "-f", "{interface}"], QUIET))
    boringtun = folder / "bin" / "boringtun-cli"
    if made(boringtun, say, ["cargo", "install", BORINGTUN[0], "--version", BORINGTUN[1], "--locked",
                             "--root", str(folder)], {}):
        found.append(Implementation(
            "boringtun", [str(boringtun), "-f", "--disable-drop-privileges", "{interface}"],
            {"WG_LOG_LEVEL": "error"}))
    return found


def made(program, say, command, env):
    if program.exists():
        return True
    tool = shutil.which(command[0]) or shutil.which(
        command[0], path="/usr/local/go/bin:" + os.path.expanduser("~/.cargo/bin"))
    if tool is None:
        say(f"left out: {program.name} ({command[0]} is not installed)")
        return False
    say(f"building {program.name}: {' '.join(command)}")
    program.parent.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run([tool, *command[1:]], env={**os.environ, **env}, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=BUILD_SECONDS,
                              check=False)
        reason = done.stdout.strip().splitlines()[-1:] or ["no output"]
    except subprocess.TimeoutExpired:
        reason = [f"not built within {BUILD_SECONDS} s"]
    if not program.exists():
        say(f"left out: {program.name} ({reason[0]})")
    return program.exists()
