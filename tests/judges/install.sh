#!/bin/sh
# Puts the judges that are in no Python wheel below .groundwork/judges, from Debian's rolling suite, without root and
# without touching the system: nginx, PostgreSQL, MySQL, Redis and RabbitMQ in the versions that production images have,
# and what images have in them: busybox and wget; and wrk, for benchmarks.
# Their own C library and all other libraries come along, so that an older machine runs them as well.
# Exits with 75 when the mirror can't be reached.
set -eu
cd "$(dirname "$0")/../.."
judges=$PWD/.groundwork/judges
mark=$judges/$({ echo "$PWD"; cat tests/judges/install.sh tests/judges/private_apt.sh; } | cksum | tr ' ' '-')
[ ! -e "$mark" ] || exit 0

# shellcheck source=tests/judges/private_apt.sh
. tests/judges/private_apt.sh
# shellcheck disable=SC1091
distribution=$(. /etc/os-release && echo "$ID")
case $distribution in
    debian) suite=sid components=main postgres=postgresql-18 ;;
    ubuntu) suite=devel components='main universe' postgres=postgresql-18 ;;
    *) echo "judges: no recipe for $distribution" >&2; exit 1 ;;
esac

echo "judges: nginx, databases and brokers from $distribution $suite into .groundwork/judges (once, a minute or two)"
private_apt "$judges"
private_sources "$distribution" "$suite" "$components"
unpack nginx-light libnginx-mod-http-js redis-server "$postgres" mysql-server-core mysql-client-core rabbitmq-server \
    busybox wget openssl lego pebble prometheus-postgres-exporter prometheus-mysqld-exporter prometheus-redis-exporter wrk

# RabbitMQ and Erlang find themselves by absolute paths. Debian's wrappers would look for a user of that name.
erlang=/usr/lib/erlang
sed -i "s#=$erlang\$#=$judges/root$erlang#" "$apt/root$erlang/bin/erl"
rm -rf "$apt"/root/usr/sbin/rabbitmq* "$apt"/root/usr/share/doc "$apt"/root/usr/share/man
ln -s "$(cd "$apt/root" && echo usr/lib/rabbitmq/lib/rabbitmq_server-*)" "$apt/root/rabbitmq"

# Each program gets a script in its place that starts it with the libraries beside it.
loader=$(find "$apt/root" -name 'ld-linux*.so.*' | head -n 1)
libraries=$(find "$apt/root" -name libc.so.6 -exec dirname {} +)
for program in "$apt"/root/usr/sbin/nginx "$apt"/root/usr/bin/redis-server "$apt"/root/usr/bin/redis-cli \
    "$apt"/root/usr/bin/busybox "$apt"/root/usr/bin/wget "$apt"/root/usr/bin/openssl \
    "$apt"/root/usr/bin/lego "$apt"/root/usr/bin/pebble* "$apt"/root/usr/bin/wrk \
    "$apt"/root/usr/bin/prometheus-*-exporter \
    "$apt"/root/usr/lib/postgresql/*/bin/* "$apt"/root/usr/sbin/mysqld "$apt"/root/usr/bin/mysql \
    "$apt"/root/usr/bin/mysqladmin "$apt/root$erlang"/erts-*/bin/*; do
    program=$(readlink -f "$program")
    [ "$(head -c 4 "$program" | tail -c 3)" = ELF ] || continue
    mv "$program" "$program.elf"
    cat > "$program" <<WRAPPER
#!/bin/sh
root='$judges/root'
exec "\$root${loader#"$apt/root"}" --library-path "\$root${libraries#"$apt/root"}" --argv0 "\$0" \\
    "\$root${program#"$apt/root"}.elf" "\$@"
WRAPPER
    chmod 755 "$program"
done
rm -rf "$judges/root"
mv "$apt/root" "$judges/root"
"$judges/root/usr/sbin/nginx" -v
"$judges/root/usr/bin/redis-server" --version
"$judges/root/usr/bin/lego" --version
for exporter in "$judges"/root/usr/bin/prometheus-*-exporter; do
    "$exporter" --version
done
for server in "$judges"/root/usr/lib/postgresql/*/bin/postgres "$judges/root/usr/sbin/mysqld"; do
    "$server" --version
done
"$judges/root$erlang/bin/erl" -noshell -eval 'crypto:start(), init:stop()'
touch "$mark"
