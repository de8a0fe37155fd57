#!/usr/bin/env bash
# Builds the programs of a pod network from the Go modules that programs/CNI/go.mod and go.sum pin. It builds them once,
# into a cache outside of the tree, and prints their folder. Each pod network has a folder of its own, whose name ends
# in a hash of the files in programs/CNI.
#   programs.sh calico|flannel|kube-router
set -euo pipefail
cni=${1:?calico, flannel or kube-router}
here=$(cd "$(dirname "$0")" && pwd)
modules=$here/programs/$cni
cache=${XDG_CACHE_HOME:-$HOME/.cache}/causeway/cni
bin=$cache/$cni-$(find "$modules" -type f -print0 | LC_ALL=C sort -z | xargs -0 cat | sha256sum | cut -c1-16)
[ ! -e "$bin/.complete" ] || { echo "$bin"; exit; }

go=$("$here/../go.sh")
PATH=$go:$PATH
mkdir -p "$bin"
exec 9>"$cache/lock"
flock 9
[ ! -e "$bin/.complete" ] || { echo "$bin"; exit; }

export CGO_ENABLED=0 GOWORK=off GOFLAGS=-mod=readonly
build() {  # NAME PACKAGE
  [ ! -x "$bin/$1" ] || return 0
  echo "cni/programs.sh: $1" >&2
  (cd "$modules" && nice -n 19 go build -p 2 -trimpath -gcflags=all=-dwarf=false -ldflags "-s -w" -o "$bin/.$1" "$2" >&2)
  mv "$bin/.$1" "$bin/$1"
}
case $cni in
  flannel) CGO_ENABLED=1 build flanneld github.com/flannel-io/flannel ;;
  kube-router) build kube-router github.com/cloudnativelabs/kube-router/v2/cmd/kube-router ;;
  calico)
    build calico github.com/projectcalico/calico/cni-plugin/cmd/calico
    build calico-node github.com/projectcalico/calico/node/cmd/calico-node
    # Its custom resources are files of the same module.
    source=$(cd "$modules" && go list -m -f '{{.Dir}}' github.com/projectcalico/calico)
    rm -rf "$bin/crds"
    cp -r "$source/libcalico-go/config/crd" "$bin/crds"
    chmod -R u+w "$bin/crds" ;;
  *) echo "cni/programs.sh: no programs for $cni" >&2; exit 2 ;;
esac
touch "$bin/.complete"
# Programs of earlier pins are no longer needed.
find "$cache" -mindepth 1 -maxdepth 1 -type d -name "$cni-*" ! -path "$bin" -exec rm -rf {} +
echo "$bin"
