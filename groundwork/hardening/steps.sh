# shellcheck shell=bash
# What makes a machine what the values above say. Each step looks first and changes only what is otherwise, so that a
# second run changes nothing and says so. `put_files`, above, writes every file whose whole content is known.

# The directory and log come first: whatever goes wrong is told there.
STATE=/var/lib/groundwork
LOG=/var/log/groundwork/harden.log
changes=0
declare -A touched=()

say() {
    echo "$*"
    echo "$(date --utc +%FT%TZ) $*" >> "$LOG"
}

changed() {
    changes=$((changes + 1))
    say "changed: $*"
}

stop() {
    say "stopped: $*" >&2
    exit 1
}

failed() {
    stop "line $1 failed with exit code $2; what was done so far stays, and a second run goes on from here"
}

quietly() {
    "$@" >> "$LOG" 2>&1 < /dev/null || stop "\`$*\` failed; the last lines of $LOG say why"
}

# put PATH MODE UNIT… < content: writes a file that differs; the units are started again at the end.
put() {
    local path=$1 mode=$2 new
    shift 2
    mkdir -p "${path%/*}"
    new=$(mktemp "${path%/*}/.groundwork.XXXXXX")
    cat > "$new"
    chmod "$mode" "$new"
    if [ -f "$path" ] && cmp --silent "$new" "$path" && [ "$(stat --format %a "$path")" = "$mode" ]; then
        rm "$new"
        return
    fi
    mv "$new" "$path"
    changed "$path"
    touched[files]=yes
    local unit
    for unit in "$@"; do touched[$unit]=yes; done
}

# line PATH PATTERN LINE: the line that the pattern finds becomes this one, or it is added.
line() {
    [ -e "$1" ] || return 0
    if grep -qxF -e "$3" "$1" && [ "$(grep -cE -e "$2" "$1")" = 1 ]; then return; fi
    sed -i -E "\\|$2|d" "$1"
    echo "$3" >> "$1"
    changed "$1: $3"
}

# on UNIT: runs now and after every start.
on() {
    if ! systemctl is-enabled --quiet "$1" 2> /dev/null; then
        quietly systemctl enable "$1"
        changed "$1 is enabled"
    fi
    if ! systemctl is-active --quiet "$1"; then
        quietly systemctl start "$1"
        changed "$1 is started"
    fi
}

is_known_system() {
    # shellcheck disable=SC1091
    case $(. /etc/os-release && echo "$ID-$VERSION_ID") in
        debian-12 | debian-13 | ubuntu-24.04) ;;
        *) stop "this is $(. /etc/os-release && echo "$PRETTY_NAME"); it should be Ubuntu 24.04, Debian 12 or Debian 13" ;;
    esac
}

set_names() {
    if [ "$(hostname)" != "$HOST_NAME" ] || [ "$(cat /etc/hostname)" != "$HOST_NAME" ]; then
        echo "$HOST_NAME" > /etc/hostname
        hostname "$HOST_NAME"
        changed "the host name is $HOST_NAME"
    fi
    [ -e /etc/hosts ] || echo '127.0.0.1 localhost' > /etc/hosts
    line /etc/hosts '^127\.0\.1\.1[[:space:]]' "127.0.1.1 $HOST_NAME"
    # A cloud has a name of its own for the machine, and would give it again at every start.
    if [ -d /etc/cloud/cloud.cfg.d ]; then
        echo 'preserve_hostname: true' | put /etc/cloud/cloud.cfg.d/99-groundwork.cfg 644
    fi
    if [ "$(readlink -f /etc/localtime)" != "$(readlink -f "/usr/share/zoneinfo/$TIME_ZONE")" ]; then
        ln -sf "/usr/share/zoneinfo/$TIME_ZONE" /etc/localtime
        echo "$TIME_ZONE" > /etc/timezone
        changed "the time zone is $TIME_ZONE"
    fi
}

set_users() {
    getent group docker > /dev/null || quietly groupadd --system docker
    if ! id "$DEPLOYER" > /dev/null 2>&1; then
        quietly useradd --create-home --shell /bin/bash "$DEPLOYER"
        changed "there is a user $DEPLOYER"
    fi
    if ! id --name --groups "$DEPLOYER" | grep -qw docker; then
        quietly usermod --append --groups docker "$DEPLOYER"
        changed "$DEPLOYER may use Docker"
    fi
    local keys=/home/$DEPLOYER/.ssh/authorized_keys
    if [ -n "$DEPLOYER_KEYS" ]; then
        install --directory --owner "$DEPLOYER" --group "$DEPLOYER" --mode 700 "${keys%/*}"
        put "$keys" 600 <<< "$DEPLOYER_KEYS"
        chown "$DEPLOYER:$DEPLOYER" "$keys"
    fi
    # Passwords end here: without a key nobody would ever come in again.
    grep -qsE '^[^#]+ ' "$keys" || stop "$DEPLOYER has no key in $keys; give \`ops harden\` one with --key FILE.pub"
}

# Blank disks, or the one that has our label; a disk that has partitions, is mounted, or is the root's is no choice.
data_disks() {
    local labelled disk
    labelled=$(blkid --label "$DATA_LABEL" || true)
    if [ -n "$labelled" ]; then
        echo "$labelled"
        return
    fi
    while read -r disk; do
        [ "$(lsblk --noheadings --output NAME "$disk" | wc -l)" = 1 ] || continue
        [ -z "$(lsblk --noheadings --output MOUNTPOINTS "$disk" | tr -d '[:space:]')" ] || continue
        [ -z "$(wipefs --noheadings "$disk")" ] || continue
        echo "$disk"
    done < <(lsblk --noheadings --nodeps --paths --output NAME,TYPE,RO | awk '$2 == "disk" && $3 == 0 && $1 !~ /zram/ { print $1 }')
}

mount_data_disk() {
    if ! mountpoint --quiet "$DATA_ROOT"; then
        if [ -n "$(ls --almost-all "$DATA_ROOT" 2> /dev/null)" ]; then
            stop "$DATA_ROOT has data already; stop Docker, move them to the data disk, and mount it there by hand"
        fi
        local found=() tries=0 kind
        while :; do
            if [ -z "$DATA_DEVICE" ]; then
                mapfile -t found < <(data_disks)
            elif [ -b "$DATA_DEVICE" ]; then
                found=("$DATA_DEVICE")
            fi
            [ "${#found[@]}" = 0 ] && [ "$tries" -lt 120 ] || break
            tries=$((tries + 1))
            sleep 5
        done
        case ${#found[@]} in
            0) stop "no data disk${DATA_DEVICE:+ $DATA_DEVICE} came within ten minutes; attach one, and run this again" ;;
            1) ;;
            *) stop "there are several blank disks (${found[*]}); name the data disk in the stack file: data_disk" ;;
        esac
        if [ -z "$(wipefs --noheadings "${found[0]}")" ]; then
            quietly mkfs.ext4 -q -m 1 -L "$DATA_LABEL" "${found[0]}"
            changed "${found[0]} is a file system"
        fi
        kind=$(blkid --match-tag TYPE --output value --probe "${found[0]}" || true)
        case $kind in
            ext4 | xfs) ;;
            *) stop "${found[0]} holds ${kind:-partitions}; a data disk is blank, or has ext4 or xfs on the whole of it" ;;
        esac
        mkdir -p "$DATA_ROOT"
        # A machine without it starts all the same, so that somebody can look; Docker does not.
        line /etc/fstab "[[:space:]]${DATA_ROOT}[[:space:]]" \
            "UUID=$(blkid --match-tag UUID --output value --probe "${found[0]}") $DATA_ROOT $kind defaults,noatime,nofail,x-systemd.growfs 0 2"
        quietly systemctl daemon-reload
        quietly mount "$DATA_ROOT"
        changed "${found[0]} is mounted at $DATA_ROOT"
    fi
    # A disk that has grown since; nothing happens where it has not.
    if [ "$(findmnt --noheadings --output FSTYPE "$DATA_ROOT")" = ext4 ]; then
        local before
        before=$(findmnt --noheadings --bytes --output SIZE "$DATA_ROOT")
        quietly resize2fs "$(findmnt --noheadings --output SOURCE "$DATA_ROOT")"
        [ "$before" = "$(findmnt --noheadings --bytes --output SIZE "$DATA_ROOT")" ] || changed "$DATA_ROOT has grown with its disk"
    fi
}

set_swap() {
    local size=$((SWAP_MIB * 1048576))
    if [ "$(stat --format %s /swapfile 2> /dev/null || echo 0)" != "$size" ]; then
        if swapon --show=NAME --noheadings | grep -qx /swapfile; then quietly swapoff /swapfile; fi
        rm -f /swapfile
        if [ "$SWAP_MIB" -gt 0 ]; then
            # Written in full: not every file system takes a swap file with holes.
            (umask 077 && quietly dd if=/dev/zero of=/swapfile bs=1M count="$SWAP_MIB")
            quietly mkswap /swapfile
        fi
        changed "swap has $SWAP_MIB MiB"
    fi
    if [ "$SWAP_MIB" -gt 0 ]; then
        line /etc/fstab '^/swapfile[[:space:]]' '/swapfile none swap sw 0 0'
        if ! swapon --show=NAME --noheadings | grep -qx /swapfile; then
            quietly swapon /swapfile
        fi
    elif grep -qs '^/swapfile[[:space:]]' /etc/fstab; then
        sed -i '/^\/swapfile[[:space:]]/d' /etc/fstab
        changed '/etc/fstab without /swapfile'
    fi
}

install_packages() {
    local missing=() package
    for package in $PACKAGES; do
        [ "$(dpkg-query --show --showformat '${db:Status-Status}' "$package" 2> /dev/null)" = installed ] || missing+=("$package")
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    quietly apt-get -qq -o DPkg::Lock::Timeout=600 update
    # Where the client is a package of its own (Debian 13), the engine does not bring it.
    if [[ " ${missing[*]} " == *' docker.io '* ]] && [ -n "$(apt-cache search --names-only '^docker-cli$')" ]; then
        missing+=(docker-cli)
    fi
    quietly apt-get -qq -o DPkg::Lock::Timeout=600 install --yes --no-install-recommends "${missing[@]}"
    changed "installed ${missing[*]}"
}

# A container of the plan measures the machine; the package did before, at a port that was open to others. The file
# beside its unit tells that it came from here.
drop_node_exporter() {
    local beside=/etc/systemd/system/prometheus-node-exporter.service.d
    [ -e "$beside/groundwork.conf" ] || return 0
    if [ "$(dpkg-query --show --showformat '${db:Status-Status}' prometheus-node-exporter 2> /dev/null)" = installed ]; then
        quietly apt-get -qq -o DPkg::Lock::Timeout=600 purge --yes prometheus-node-exporter
    fi
    # Last, so that a run which ends before is gone on with.
    rm "$beside/groundwork.conf"
    rmdir --ignore-fail-on-non-empty "$beside"
    quietly systemctl daemon-reload
    changed 'prometheus-node-exporter is gone'
}

# In files of packages, which have no place for others' settings.
edit_package_files() {
    put /etc/logrotate.conf 644 <<< "$LOGROTATE"
    local file
    for file in rsyslog fail2ban ufw; do
        file=/etc/logrotate.d/$file
        if [ -e "$file" ] && grep -qE '^[[:space:]]+(weekly|monthly|rotate ([0-9]|[12][0-9]))$' "$file"; then
            sed -i -E 's/^([[:space:]]+)(weekly|monthly)$/\1daily/; s/^([[:space:]]+)rotate [0-9]+$/\1rotate 30/' "$file"
            changed "$file"
        fi
    done
    # It would take kernel settings back at each start.
    line /etc/default/ufw '^IPT_SYSCTL=' 'IPT_SYSCTL='
    line /etc/login.defs '^UMASK[[:space:]]' 'UMASK 027'
    line /etc/login.defs '^#?[[:space:]]*SHA_CRYPT_MIN_ROUNDS[[:space:]]' 'SHA_CRYPT_MIN_ROUNDS 65536'
}

check_sshd() {
    mkdir -p /run/sshd
    quietly sshd -t
    local effective wanted
    effective=$(sshd -T)
    for wanted in 'permitrootlogin no' 'passwordauthentication no' 'kbdinteractiveauthentication no'; do
        grep -qx "$wanted" <<< "$effective" || stop "sshd would not obey \`$wanted\`; does /etc/ssh/sshd_config include sshd_config.d/*.conf first?"
    done
}

# All rules are ours: a rule that is not wanted goes.
set_firewall() {
    local have rule direction
    for direction in 'incoming INPUT DROP deny' 'outgoing OUTPUT ACCEPT allow' 'routed FORWARD DROP deny'; do
        # shellcheck disable=SC2086
        set -- $direction
        if ! grep -qx "DEFAULT_$2_POLICY=\"$3\"" /etc/default/ufw; then
            quietly ufw default "$4" "$1"
            changed "ufw: $4 $1"
        fi
    done
    have=$(ufw show added | sed -n 's/^ufw //p')
    while read -r rule; do
        if [ -n "$rule" ] && ! grep -qxF -e "$rule" <<< "$have"; then
            # shellcheck disable=SC2086
            quietly ufw $rule
            changed "ufw: $rule"
        fi
    done <<< "$HOST_RULES"
    while read -r rule; do
        if [ -n "$rule" ] && ! grep -qxF -e "$rule" <<< "$HOST_RULES"; then
            # shellcheck disable=SC2086
            quietly ufw --force delete $rule
            changed "ufw: no longer $rule"
        fi
    done <<< "$have"
    if ! ufw status | grep -qx 'Status: active'; then
        quietly ufw --force enable
        changed 'ufw is active'
    fi
}

start_units() {
    if [ -n "${touched[files]-}" ]; then quietly systemctl daemon-reload; fi
    local unit
    # Not every machine has it.
    if [ -n "${touched[systemd-resolved.service]-}" ]; then quietly systemctl try-restart systemd-resolved.service; fi
    for unit in $UNITS; do
        if [ -n "${touched[$unit]-}" ] && systemctl is-active --quiet "$unit"; then
            case $unit in
                # Its unit refuses to be stopped.
                auditd.service) quietly augenrules --load ;;
                # Whoever depends on them is not to be stopped with them.
                ssh.service | groundwork-firewall.service) quietly systemctl reload "$unit" ;;
                *) quietly systemctl restart "$unit" ;;
            esac
        fi
        # Where ssh waits at a socket, its service begins with the first who comes.
        if [ "$unit" != ssh.service ] || ! systemctl is-active --quiet ssh.socket; then on "$unit"; fi
    done
}

[ "$(id --user)" = 0 ] || { echo 'stopped: this needs root' >&2; exit 1; }
mkdir -p "$STATE" "${LOG%/*}"
chmod 750 "${LOG%/*}"
exec 9> /run/groundwork-harden.lock
flock --wait 1800 9 || stop 'another run is still at work'
trap 'failed "$LINENO" "$?"' ERR
is_known_system
say "hardening $HOST_NAME ($ROLE) to $DIGEST"
hardened=$(cat "$STATE/hardened" 2> /dev/null || true)
# Until the end this is neither the state before nor the one that is wanted.
rm -f "$STATE/hardened"
set_users
set_names
if [ "$DATA_DISK" = yes ]; then mount_data_disk; fi
set_swap
put_files
# Before Docker comes, so that no container is ever without it.
quietly systemctl daemon-reload
systemctl is-enabled --quiet groundwork-firewall.service || quietly systemctl enable groundwork-firewall.service
install_packages
drop_node_exporter
edit_package_files
check_sshd
set_firewall
start_units
docker version > /dev/null || stop 'Docker does not answer: systemctl status docker'
[ "$hardened" = "$DIGEST" ] || changed "the state is $DIGEST"
echo "$DIGEST" > "$STATE/hardened"
if [ "$changes" = 0 ]; then say 'nothing to change'; else say "done: $changes changes"; fi
