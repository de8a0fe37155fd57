#!/usr/bin/env bash
# Builds the Kubernetes programs of the tests from the Go modules that programs/go.mod and go.sum pin. It builds them
# once, into a cache outside of the tree, and prints their folder. The folder's name is a hash of these files, of
# coredns/main.go and of this script: a change of a comment, too, builds everything again.
#   programs.sh [--path]   --path: only prints the folder, built or not
set -euo pipefail
here=$(cd "$(dirname "$0")/programs" && pwd)
stamp=$(cat "$here/go.mod" "$here/go.sum" "$here/coredns/main.go" "$0" | sha256sum | cut -c1-16)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/causeway/kubernetes
bin=$cache/$stamp
[ "${1:-}" != --path ] || { echo "$bin"; exit; }
[ ! -e "$bin/.complete" ] || { echo "$bin"; exit; }

go=$("$here/../go.sh")
PATH=$go:$PATH
mkdir -p "$bin"
exec 9>"$cache/lock"
flock 9
[ ! -e "$bin/.complete" ] || { echo "$bin"; exit; }

version=$(sed -nE 's/^.*k8s.io\/kubernetes (v1\.[0-9.]+).*/\1/p' "$here/go.mod" | head -1)
helm=$(sed -nE 's/^.*helm.sh\/helm\/v3 (v3[0-9.]+).*/\1/p' "$here/go.mod" | head -1)
minor=${version#v1.}; minor=${minor%%.*}
# Without these flags the API server reports version v0.0.0, and clients misbehave.
flags="-s -w"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
  flags+=" -X $package.gitVersion=$version -X $package.gitMajor=1 -X $package.gitMinor=$minor -X $package.gitTreeState=clean"
done
flags+=" -X helm.sh/helm/v3/internal/version.version=$helm"
for package in pkg/chartutil pkg/lint/rules; do
  flags+=" -X helm.sh/helm/v3/$package.k8sVersionMajor=1 -X helm.sh/helm/v3/$package.k8sVersionMinor=$minor"
done

export CGO_ENABLED=0 GOFLAGS=-mod=readonly GOWORK=off
build() {  # NAME PACKAGE
  [ ! -x "$bin/$1" ] || return 0
  echo "programs.sh: $1" >&2
  (cd "$here" && nice -n 19 go build -p 2 -trimpath -gcflags=all=-dwarf=false -ldflags "$flags" -o "$bin/.$1" "$2" >&2)
  mv "$bin/.$1" "$bin/$1"
}
for name in kube-apiserver kubectl kube-controller-manager kube-scheduler; do build "$name" "k8s.io/kubernetes/cmd/$name"; done
build helm helm.sh/helm/v3/cmd/helm
for name in kubelet kube-proxy; do build "$name" "k8s.io/kubernetes/cmd/$name"; done
build coredns ./coredns
touch "$bin/.complete"
# Programs of earlier pins are no longer needed.
find "$cache" -mindepth 1 -maxdepth 1 -type d ! -name "$stamp" -exec rm -rf {} +
echo "$bin"
