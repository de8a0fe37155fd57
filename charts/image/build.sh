#!/usr/bin/env bash
# Builds the image from the Dockerfile without a daemon (buildah) and writes it as a docker archive.
#   build.sh OUT [NAME:TAG]
# The base is Debian 12 from the mirror (mmdebstrap), with the base's name in the Dockerfile. So no registry is
# needed. A cache outside of the tree keeps layers, base and compiled files. Needs root.
set -euo pipefail
out=${1:?the archive to write}; name=${2:-docker.io/library/causeway:0.1.0}
root=$(cd "$(dirname "$0")/../.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/causeway/image
ccache=${CCACHE_DIR:-$HOME/.cache/causeway-ccache}
mkdir -p "$cache/run" "$ccache"
exec 9>"$cache/lock"
flock 9
image() { nice -n 19 buildah --root "$cache/store" --runroot "$cache/run" --storage-driver vfs "$@"; }

base=docker.io/library/$(sed -nE 's/^FROM ([^ ]*debian[^ ]*).*/\1/p' "$root/charts/image/Dockerfile")
# A base older than a week is made again, for the mirror's security updates.
made=$(image inspect --type image --format '{{.OCIv1.Created.Unix}}' "$base" 2>/dev/null || echo 0)
if [ $(($(date +%s) - made)) -gt $((7 * 24 * 3600)) ]; then
  echo "build.sh: $base from Debian's mirror" >&2
  image rmi --all --force >/dev/null 2>&1 || true  # the layers on top of the old base
  nice -n 19 mmdebstrap --quiet --variant=minbase --mode=root bookworm "$cache/base.tar"
  container=$(image from scratch)
  image add --quiet "$container" "$cache/base.tar" / >/dev/null
  image config --cmd bash "$container"
  image commit --quiet --rm "$container" "$base" >/dev/null
  rm "$cache/base.tar"
fi
echo "build.sh: $name" >&2
image bud --isolation chroot --network host --pull-never --layers --volume "$ccache:/ccache" \
  -f "$root/charts/image/Dockerfile" -t "$name" "$root" >&2
rm -f "$out"
image push --quiet "$name" "docker-archive:$out:$name"
