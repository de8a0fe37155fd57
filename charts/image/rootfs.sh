#!/usr/bin/env bash
# Makes the image's root file system without a container engine: our programs, nft, and the shared libraries of
# both. The Dockerfile runs the same script, so tests run the files that are shipped.
#   rootfs.sh BUILD OUT     BUILD: folder with bin/causeway-*; OUT: must not exist yet
set -euo pipefail
build=${1:?build folder}; out=${2:?folder to make}
here=$(cd "$(dirname "$0")" && pwd)
[ ! -e "$out" ] || { echo "rootfs.sh: $out is there already" >&2; exit 1; }
mkdir -p "$out"/{etc/ssl/certs,tmp,usr/bin,usr/sbin,usr/share/causeway,var/run/wireguard,run,proc,sys,dev,host/proc/sys/net}
ln -s usr/bin "$out/bin"; ln -s usr/sbin "$out/sbin"; ln -s usr/lib "$out/lib"; ln -s usr/lib64 "$out/lib64"
mkdir -p "$out/usr/lib" "$out/usr/lib64"
chmod 1777 "$out/tmp"

program() {  # SOURCE TARGET: copies a program with every library that it is linked to
  install -m 755 "$1" "$out$2"
  { ldd "$1" || true; } | sed -nE 's/.*=> (\/[^ ]+) .*/\1/p; s/^\s*(\/[^ ]+) .*/\1/p' | while read -r library; do
    target=$out/usr/${library#/}; target=${target//\/usr\/usr\//\/usr\/}
    [ -e "$target" ] || install -D -m 755 "$(readlink -f "$library")" "$target"
  done
}
for name in causeway-gateway causeway-routeagent causeway-discovery causewayctl; do
  program "$build/bin/$name" "/usr/bin/$name"
  strip --strip-unneeded "$out/usr/bin/$name"
done
program "$(command -v nft || echo /usr/sbin/nft)" /usr/sbin/nft
# glibc resolves names with modules of its own, which no program is linked to.
for module in libnss_files.so.2 libnss_dns.so.2 libresolv.so.2; do
  found=$(find /lib /usr/lib -name "$module" -path "*$(uname -m)*" | head -1)
  [ -z "$found" ] || install -D -m 755 "$(readlink -f "$found")" "$out/usr/lib/$(uname -m)-linux-gnu/$module"
done
[ ! -e /etc/ssl/certs/ca-certificates.crt ] || cp /etc/ssl/certs/ca-certificates.crt "$out/etc/ssl/certs/"
cp -r "$here/../../crds" "$out/usr/share/causeway/crds"
printf 'root:x:0:0:root:/:/nonexistent\ncauseway:x:65532:65532:causeway:/:/nonexistent\n' > "$out/etc/passwd"
printf 'root:x:0:\ncauseway:x:65532:\n' > "$out/etc/group"
printf 'hosts: files dns\npasswd: files\ngroup: files\n' > "$out/etc/nsswitch.conf"
