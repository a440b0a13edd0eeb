#!/bin/sh
# Puts the judges that are in no Python wheel below .groundwork/judges, from Debian's rolling suite, without root and
# without touching the system: nginx, PostgreSQL, MySQL, Redis and RabbitMQ in the versions that production images have,
# and what images have in them: busybox and wget.
# Their own C library and all other libraries come along, so that an older machine runs them as well.
# Exits with 75 when the mirror can't be reached.
set -eu
UNREACHABLE=75
cd "$(dirname "$0")/../.."
judges=$PWD/.groundwork/judges
mark=$judges/$({ echo "$PWD"; cat tests/judges/install.sh; } | cksum | tr ' ' '-')
[ ! -e "$mark" ] || exit 0

command -v apt-get > /dev/null || { echo 'judges: apt-get is needed (Debian or Ubuntu)' >&2; exit 1; }
# shellcheck disable=SC1091
distribution=$(. /etc/os-release && echo "$ID")
case $distribution in
    debian) suite=sid components=main postgres=postgresql-18 ;;
    ubuntu) suite=devel components='main universe' postgres=postgresql-18 ;;
    *) echo "judges: no recipe for $distribution" >&2; exit 1 ;;
esac
# The mirror that this machine already uses; known without package lists.
mirror=$(apt-get --print-uris update | sed -n "s#^'\(.*/\)dists/[a-z]*/InRelease'.*#\1#p" | head -n 1)
[ -n "$mirror" ] || { echo 'judges: apt-get knows no mirror; is /etc/apt/sources.list.d empty?' >&2; exit 1; }

echo "judges: nginx, databases and brokers from $distribution $suite into .groundwork/judges (once, a minute or two)"
mkdir -p "$judges"
apt=$(mktemp -d "$judges/apt.XXXXXX")
trap 'rm -rf "$apt"' EXIT
mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$apt/empty.d" "$apt/root"
: > "$apt/status"
echo "deb [signed-by=/usr/share/keyrings/$distribution-archive-keyring.gpg] $mirror $suite $components" > "$apt/sources"
private() {
    # The list of a rolling suite may be past its date on a mirror; its signature is checked all the same.
    apt-get -qq -o "Dir::State=$apt" -o "Dir::State::status=$apt/status" -o "Dir::State::lists=$apt/lists" \
        -o "Dir::Cache=$apt" -o "Dir::Cache::archives=$apt/archives" -o "Dir::Etc::sourcelist=$apt/sources" \
        -o "Dir::Etc::sourceparts=$apt/empty.d" -o "Dir::Etc::preferencesparts=$apt/empty.d" \
        -o APT::Sandbox::User= -o Acquire::Check-Valid-Until=false -o Acquire::Languages=none -o Debug::NoLocking=1 "$@"
}
private -o APT::Update::Error-Mode=any update > "$apt/log" 2>&1 || { cat "$apt/log" >&2; exit "$UNREACHABLE"; }
private install --yes --download-only --no-install-recommends \
    nginx-light redis-server "$postgres" mysql-server-core mysql-client-core rabbitmq-server busybox wget openssl \
    > "$apt/log" 2>&1 || { cat "$apt/log" >&2; exit 1; }
for package in "$apt"/archives/*.deb; do
    dpkg-deb --extract "$package" "$apt/root"
    rm "$package"
done

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
for server in "$judges"/root/usr/lib/postgresql/*/bin/postgres "$judges/root/usr/sbin/mysqld"; do
    "$server" --version
done
"$judges/root$erlang/bin/erl" -noshell -eval 'crypto:start(), init:stop()'
touch "$mark"
