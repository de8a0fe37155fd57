#!/usr/bin/env bash
# Runs our binaries on a kernel that has WireGuard: Debian's cloud kernel under QEMU's software
# emulation, with a busybox initramfs. Runs the driver contract on Linux's WireGuard and two small
# clusters end to end (guest/). No device, file or network of the host is touched.
#   e2e/qemu/run.sh BUILD_DIR      exit 0: all passed
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "${1:?usage: run.sh BUILD_DIR}" && pwd)
LIMIT=${LIMIT:-600}  # seconds for the whole guest

kernel=$(printf '%s\n' /boot/vmlinuz-*-cloud-amd64 | sort -V | tail -1)
[ -e "$kernel" ] || { echo "run.sh: no /boot/vmlinuz-*-cloud-amd64: apt-get install linux-image-cloud-amd64" >&2; exit 2; }
version=${kernel#/boot/vmlinuz-}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir -p "$root"/{bin,sbin,lib64,usr/lib,proc,sys,dev,run,tmp,etc,causeway,lib/modules}

# Copies a program and the libraries that it is linked with, at their own paths (all under /lib, in any form).
add() {
  install -D -m 755 "$(readlink -f "$1")" "$root/$2"
  { ldd "$1" 2>/dev/null || true; } | { grep -oE '/[^ )]+' || true; } | while read -r library; do
    [ -e "$root/$library" ] || install -D -m 755 "$(readlink -f "$library")" "$root/$library"
  done
}
for applet in $(busybox --list); do
  ln -sf busybox "$root/bin/$applet"
done
rm "$root"/bin/{busybox,sh,ip}
add "$(command -v busybox)" bin/busybox
# Debian's shell and iproute2: busybox's shell prefers its own `ip`, which has no namespaces.
add "$(command -v dash)" bin/sh
ln -s ../bin/busybox "$root/sbin/modprobe"  # the path that the kernel calls
add "$(command -v ip)" bin/ip
add "$(command -v nft)" bin/nft
add "$(command -v wg)" bin/wg
for program in tunnel_test causeway-gateway causeway-routeagent causewayctl; do
  add "$build/bin/$program" "causeway/$program"
done
cp "$here"/guest/* "$root/causeway/"
ln -s causeway/init "$root/init"
echo 'root:x:0:0::/:/bin/sh' >"$root/etc/passwd"

# The modules that networking may ask for; busybox's modprobe finds them by name and alias.
modules=lib/modules/$version
(cd / && cp --parents -r "$modules"/kernel/{net,lib,crypto,arch/x86/crypto} \
  "$modules"/kernel/drivers/net/{wireguard,vxlan,veth.ko} "$modules"/modules.{dep,alias,symbols,builtin,order} "$root")
find "$root" -newermt now -exec touch -d @0 {} + 2>/dev/null || true
(cd "$root" && find . | cpio -o -H newc --quiet) >"$work/initramfs"

# Without KVM: a nested machine rarely has it, and the tests need no speed.
timeout "$LIMIT" qemu-system-x86_64 -machine q35 -accel tcg,thread=multi -cpu max -smp 2 -m 1024 \
  -nodefaults -no-reboot -display none -serial stdio -nic none \
  -kernel "$kernel" -initrd "$work/initramfs" \
  -append "console=ttyS0 quiet panic=-1 random.trust_cpu=on" </dev/null 2>&1 |
  tr -d '\r' | tee "$work/console" || true
grep -q '^CAUSEWAY-GUEST 0$' "$work/console" ||
  { echo "run.sh: the guest did not pass within $LIMIT s; its console is above" >&2; exit 1; }
