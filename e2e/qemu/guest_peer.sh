#!/bin/sh
# Linux's own WireGuard as a peer: Debian's cloud kernel under QEMU's software emulation. Its one network card is on the
# TAP interface that the caller made in its network namespace. Runs until it is killed.
#   guest_peer.sh TAP SCRIPT      SCRIPT (sh) is run inside once the card eth0 and modprobe work; it
#                                 has ip, wg, socat, busybox. The console is standard output.
set -eu
tap=$1 script=$2
kernel=$(printf '%s\n' /boot/vmlinuz-*-cloud-amd64 | sort -V | tail -1)
version=${kernel##*/vmlinuz-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir -p "$root/bin" "$root/sbin" "$root/lib64" "$root/usr/lib" "$root/proc" "$root/sys" "$root/dev" "$root/run" \
  "$root/tmp" "$root/lib/modules"

add() {  # adds a program and the libraries that it is linked with
  install -D -m 755 "$(readlink -f "$1")" "$root/$2"
  { ldd "$1" 2>/dev/null || true; } | { grep -oE '/[^ )]+' || true; } | while read -r library; do
    [ -e "$root/$library" ] || install -D -m 755 "$(readlink -f "$library")" "$root/$library"
  done
}
for applet in $(busybox --list); do ln -sf busybox "$root/bin/$applet"; done
rm "$root/bin/busybox" "$root/bin/ip" "$root/bin/sh"
add "$(command -v busybox)" bin/busybox
add "$(command -v ip)" bin/ip
add "$(command -v wg)" bin/wg
add "$(command -v socat)" bin/socat
add "$(command -v dash)" bin/sh  # busybox's shell prefers its own `ip`
ln -s ../bin/busybox "$root/sbin/modprobe"
modules=lib/modules/$version
(cd / && cp --parents -r "$modules/kernel/net" "$modules/kernel/lib" "$modules/kernel/crypto" \
  "$modules/kernel/arch/x86/crypto" "$modules/kernel/drivers/net/wireguard" "$modules/kernel/drivers/virtio" \
  "$modules"/kernel/drivers/net/virtio_net.ko "$modules"/kernel/drivers/net/net_failover.ko \
  "$modules"/modules.dep "$modules"/modules.alias "$modules"/modules.symbols "$modules"/modules.builtin \
  "$modules"/modules.order "$root")
cp "$script" "$root/script"
cat >"$root/init" <<'INIT'
#!/bin/sh
export PATH=/bin:/sbin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /run
modprobe virtio_pci
modprobe virtio_net
modprobe wireguard
ip link set lo up
for i in 1 2 3 4 5 6 7 8 9 10; do [ -e /sys/class/net/eth0 ] && break; sleep 0.2; done
ip link set eth0 up
sh /script
echo "guest: the script ended"
while :; do sleep 3600; done
INIT
chmod 755 "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet) >"$work/initramfs"
qemu-system-x86_64 -machine q35 -accel tcg,thread=multi -cpu max -smp 1 -m 384 -nodefaults -no-reboot \
  -display none -serial stdio -netdev "tap,id=n0,ifname=$tap,script=no,downscript=no" \
  -device virtio-net-pci,netdev=n0,romfile= -kernel "$kernel" -initrd "$work/initramfs" \
  -append "console=ttyS0 quiet panic=-1 random.trust_cpu=on" </dev/null
