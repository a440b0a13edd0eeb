#!/bin/sh
# Puts what several machines need on this one below .groundwork/servers: OpenSSH's server, HAProxy and a registry, from
# the suite that this machine has, without touching the system. Exits with 75 when the mirror can't be reached.
set -eu
UNREACHABLE=75
cd "$(dirname "$0")/../.."
servers=$PWD/.groundwork/servers
mark=$servers/$(cksum < tests/e2e/install_servers.sh | tr ' ' '-')
[ ! -e "$mark" ] || exit 0
command -v apt-get > /dev/null || { echo 'servers: apt-get is needed (Debian or Ubuntu)' >&2; exit 1; }

rm -rf "$servers"
mkdir -p "$servers/lists/partial" "$servers/archives/partial"
private() {
    apt-get -qq -o "Dir::State::lists=$servers/lists" -o "Dir::Cache::archives=$servers/archives" \
        -o "Dir::Cache::pkgcache=" -o "Dir::Cache::srcpkgcache=" -o APT::Sandbox::User= \
        -o Acquire::Languages=none -o Debug::NoLocking=1 "$@"
}
private -o APT::Update::Error-Mode=any update > "$servers/log" 2>&1 || { cat "$servers/log" >&2; exit "$UNREACHABLE"; }
# What the system has already stays where it is: only what is missing comes.
private install --yes --download-only --reinstall --no-install-recommends openssh-server haproxy docker-registry \
    > "$servers/log" 2>&1 || { cat "$servers/log" >&2; exit 1; }
for package in "$servers"/archives/*.deb; do
    dpkg-deb --extract "$package" "$servers/root"
    rm "$package"
done
LD_LIBRARY_PATH=$(echo "$servers"/root/usr/lib/*-linux-gnu) "$servers/root/usr/sbin/haproxy" -v | head -n 1
"$servers/root/usr/bin/docker-registry" --version
"$servers/root/usr/sbin/sshd" -V 2>&1 | grep OpenSSH || true
rm -rf "$servers/lists" "$servers/archives"
touch "$mark"
