#!/bin/sh
# Makes the disk of a machine that nobody has touched, as a cloud would start it: Debian 12 with systemd, cloud-init and
# sshd, and what tests need inside (lynis, a static busybox for containers). Beside it lie its kernel and initrd.
# machine_disk.sh FOLDER, as root, with debootstrap, mkfs.ext4 and qemu-img; two minutes, then it is kept.
set -eu
folder=$1
# The mirror that this machine already uses.
mirror=${MIRROR:-$(apt-get --print-uris update | sed -n "s#^'\(.*/\)dists/[a-z-]*/InRelease'.*#\1#p" | head -n 1)}
mirror=${mirror%/}
mkdir -p "$folder"
mark=$folder/made-$(cksum < "$0" | tr ' ' '-')
[ ! -e "$mark" ] || exit 0
root=$(mktemp -d "$folder/root.XXXXXX")
clean() {
    for mounted in proc sys; do
        if mountpoint --quiet "$root/$mounted"; then umount "$root/$mounted"; fi
    done
    rm -rf --one-file-system "$root"
}
trap clean EXIT

debootstrap --variant=minbase --include=systemd-sysv,ca-certificates,apt-utils bookworm "$root" "$mirror"
cat > "$root/etc/apt/sources.list" << LIST
deb $mirror bookworm main
deb $mirror bookworm-updates main
deb $mirror-security bookworm-security main
LIST
cp /etc/resolv.conf "$root/etc/resolv.conf"
for mounted in proc sys; do mount --bind "/$mounted" "$root/$mounted"; done
# Nothing is started while packages come.
printf '#!/bin/sh\nexit 101\n' > "$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
inside() { DEBIAN_FRONTEND=noninteractive LC_ALL=C chroot "$root" "$@"; }
inside apt-get -qq update
inside apt-get -qq --yes upgrade
# All at once: the resolver that is among them finds no names here.
inside apt-get -qq --yes --no-install-recommends install apparmor cloud-guest-utils cloud-init dbus initramfs-tools \
    iproute2 iputils-ping kmod less libpam-systemd linux-image-cloud-amd64 locales netplan.io openssh-server procps \
    python3 sudo systemd-resolved systemd-timesyncd tzdata udev zstd busybox-static lynis
rm "$root/usr/sbin/policy-rc.d"
rm -f "$root"/var/cache/apt/archives/*.deb "$root"/etc/ssh/ssh_host_*
echo '/dev/vda / ext4 errors=remount-ro 0 1' > "$root/etc/fstab"
echo 'datasource_list: [NoCloud, None]' > "$root/etc/cloud/cloud.cfg.d/90-datasource.cfg"
ln -sf /run/systemd/resolve/stub-resolv.conf "$root/etc/resolv.conf"
: > "$root/etc/machine-id"
for mounted in proc sys; do umount "$root/$mounted"; done

cp "$root"/boot/vmlinuz-* "$folder/kernel"
cp "$root"/boot/initrd.img-* "$folder/initrd"
raw=$folder/disk.raw
rm -f "$raw"
truncate --size 8G "$raw"
mkfs.ext4 -q -d "$root" "$raw"
qemu-img convert -O qcow2 "$raw" "$folder/disk.qcow2"
rm "$raw"
touch "$mark"
