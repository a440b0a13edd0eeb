#!/bin/sh
# Puts the judges of rules and routes below .groundwork/judges/monitoring, from Debian's rolling suite, without root and
# without touching the system: promtool and Prometheus, amtool and Alertmanager, the blackbox and the node exporter.
# Their own C library and all other libraries come along, so that an older machine runs them as well.
# Exits with 75 when the mirror can't be reached.
set -eu
cd "$(dirname "$0")/../.."
judges=$PWD/.groundwork/judges
mark=$judges/monitoring-$({ echo "$PWD"; cat tests/judges/install_monitoring.sh tests/judges/private_apt.sh; } |
    cksum | tr ' ' '-')
[ ! -e "$mark" ] || exit 0

# shellcheck source=tests/judges/private_apt.sh
. tests/judges/private_apt.sh
# shellcheck disable=SC1091
distribution=$(. /etc/os-release && echo "$ID")
case $distribution in
    debian) suite=sid components=main ;;
    ubuntu) suite=devel components='main universe' ;;
    *) echo "judges: no recipe for $distribution" >&2; exit 1 ;;
esac

echo "judges: Prometheus and Alertmanager from $distribution $suite into .groundwork/judges (once, a minute)"
private_apt "$judges"
private_sources "$distribution" "$suite" "$components"
unpack prometheus prometheus-alertmanager prometheus-blackbox-exporter prometheus-node-exporter
# Alertmanager reads its templates from an absolute path, below which tests show it these.
mv "$apt/root/usr/share/prometheus" "$apt/prometheus"
rm -rf "$apt"/root/usr/share
mkdir "$apt/root/usr/share"
mv "$apt/prometheus" "$apt/root/usr/share/prometheus"

# Each program gets a script in its place that starts it with the libraries beside it.
loader=$(find "$apt/root" -name 'ld-linux*.so.*' | head -n 1)
libraries=$(find "$apt/root" -name libc.so.6 -exec dirname {} +)
for program in "$apt"/root/usr/bin/prometheus* "$apt"/root/usr/bin/promtool "$apt"/root/usr/bin/amtool; do
    [ "$(head -c 4 "$program" | tail -c 3)" = ELF ] || continue
    mv "$program" "$program.elf"
    cat > "$program" <<WRAPPER
#!/bin/sh
root='$judges/monitoring'
exec "\$root${loader#"$apt/root"}" --library-path "\$root${libraries#"$apt/root"}" --argv0 "\$0" \\
    "\$root${program#"$apt/root"}.elf" "\$@"
WRAPPER
    chmod 755 "$program"
done
rm -rf "$judges/monitoring"
mv "$apt/root" "$judges/monitoring"
for program in promtool amtool prometheus-blackbox-exporter prometheus-node-exporter; do
    "$judges/monitoring/usr/bin/$program" --version 2>&1 | head -n 1
done
touch "$mark"
