#!/bin/sh
# Puts a system such as machines have below .groundwork/judges/machine, from Debian's or Ubuntu's stable suite, without
# root and without touching the system: what reads the files that hardening writes, in the very versions that ship.
# Nothing in it is configured or runs; judges enter it with `unshare --root`. Exits with 75 when the mirror can't be reached.
set -eu
cd "$(dirname "$0")/../.."
judges=$PWD/.groundwork/judges
mark=$judges/machine-$({ echo "$PWD"; cat tests/judges/install_machine.sh tests/judges/private_apt.sh; } | cksum | tr ' ' '-')
[ ! -e "$mark" ] || exit 0

# shellcheck source=tests/judges/private_apt.sh
. tests/judges/private_apt.sh
# shellcheck disable=SC1091
distribution=$(. /etc/os-release && echo "$ID")
case $distribution in
    debian) suite=bookworm components=main ;;
    ubuntu) suite=noble components='main universe' ;;
    *) echo "judges: no recipe for $distribution" >&2; exit 1 ;;
esac
echo "judges: a machine's programs from $distribution $suite into .groundwork/judges/machine (once, a minute)"
private_apt "$judges"
private_sources "$distribution" "$suite" "$components"
unpack apt auditd base-files bash cloud-init coreutils dash diffutils fail2ban iptables logrotate mawk nftables openssh-server \
    passwd python3 python3-systemd sed sudo systemd systemd-timesyncd ufw unattended-upgrades

# What maintainer scripts would have done, as far as a program asks for it.
cd "$apt/root"
for folder in bin sbin lib lib64; do
    if [ -d "$folder" ] && [ ! -L "$folder" ]; then
        mkdir -p "usr/$folder"
        cp -a "$folder/." "usr/$folder/"
        rm -rf "$folder"
    fi
    ln -sfn "usr/$folder" "$folder"
done
printf 'root:x:0:0:root:/root:/bin/bash\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n' > etc/passwd
printf 'root:x:0:\nadm:x:4:\nsudo:x:27:\n' > etc/group
mkdir -p var/log tmp dev proc sys run usr/local etc/ssh
cp usr/share/openssh/sshd_config etc/ssh/
cp usr/share/ufw/iptables/*.rules usr/share/ufw/ufw.conf usr/share/ufw/*.init etc/ufw/
ln -sf /usr/sbin/xtables-nft-multi usr/sbin/iptables
ln -sf /usr/sbin/xtables-nft-multi usr/sbin/iptables-restore
ln -sf mawk usr/bin/awk
cd - > /dev/null
rm -rf "$judges/machine"
mv "$apt/root" "$judges/machine"
rm -f "$judges"/machine-*
touch "$mark"
