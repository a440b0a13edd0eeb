#!/bin/bash
# Makes local stand-ins for official images where no image registry is reachable, from Debian packages only.
# They have the official names, user ids, paths, volumes and entry points, and no more than the tests need:
#
#   debian:bookworm-slim       Debian 12, minimal
#   python:3.13-slim-bookworm  Debian 13 with its own Python 3.13 and pip (in /usr/bin, linked from /usr/local/bin)
#   nginx:1.30                 sid's nginx with njs, and curl; user nginx 101
#   postgres:18                sid's PostgreSQL 18 with pgvector; user postgres 999
#   postgres:17                Debian 13's PostgreSQL 17 with pgvector; user postgres 999
#   redis:8                    sid's Redis 8, without the official image's modules; user redis 999
#   mysql:8.4                  sid's MySQL, which is 9.7 (Debian has no 8.4), without MySQL Shell; user mysql 999
#   rabbitmq:4-management      sid's RabbitMQ 4.3 and Erlang; user rabbitmq 999
#   goacme/lego:v4.35.2        sid's lego of that version, at /lego; Debian's shell instead of Alpine's
#   prom/prometheus:v3.13.5    sid's Prometheus, which is 3.5, with Busybox and nothing else; user 65534
#   prom/alertmanager:v0.33.1, prom/blackbox-exporter:v0.28.0, prom/node-exporter:v1.11.1,
#   prometheuscommunity/postgres-exporter:v0.19.1, prom/mysqld-exporter:v0.19.0, oliver006/redis_exporter:v1.86.0-alpine
#                              sid's programs of those versions with Busybox and nothing else; users 65534 and 59000
#   grafana/loki:3.7.8, otel/opentelemetry-collector-contrib:0.160.0
#                              of those versions, built from the Go registry in this checkout (tests/judges/loki and
#                              shipper: the latter has only what the shipper uses), without a shell; users 10001
#
# Usage, as root with debootstrap and a running engine: stand_in_images.sh [IMAGE...]   (default: all of them)
# An image that is present is left alone, so an official one is never replaced; `docker image rm` it to renew it.
set -euo pipefail

checkout=$(cd "$(dirname "$0")/../.." && pwd)
exec 3>&2 # for the end of a failed image's log: a function's own redirection holds in the trap too
work=$(mktemp -d)
finish() {
    local status=$?
    if [ $status != 0 ] && [ -s "$work/log" ]; then tail -n 40 "$work/log" >&3; fi
    rm -rf --one-file-system "$work"
}
trap finish EXIT

present() { docker image inspect "$1" >/dev/null 2>&1; }

# The archive that this machine's own apt uses.
mirror() {
    # shellcheck disable=SC2016  # apt's field, not a shell variable
    apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' 'Origin: Debian' 'Label: Debian' | sort -u | sed -n 1p
}

# bootstrap SUITE IMAGE: a minimal Debian that trusts the certificate authorities this machine was given.
bootstrap() {
    local suite=$1 image=$2 root=$work/$1 uri
    if present "$image"; then return; fi
    uri=$(mirror)
    if [ -z "$uri" ]; then
        echo "no Debian archive among apt's sources: run apt-get update first" >&2
        return 1
    fi
    debootstrap --variant=minbase "$suite" "$root" "$uri"
    mkdir -p "$root/usr/local/share/ca-certificates"
    find /usr/local/share/ca-certificates -name '*.crt' -exec cp -t "$root/usr/local/share/ca-certificates" {} +
    # As in the official slim images: no documentation now or later, and packages start no service.
    printf 'path-exclude /usr/share/%s/*\n' doc info lintian locale man >"$root/etc/dpkg/dpkg.cfg.d/docker"
    # sid's release file may be past its date.
    printf '%s "false";\n' Acquire::Check-Valid-Until APT::Install-Recommends >"$root/etc/apt/apt.conf.d/docker"
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod +x "$root/usr/sbin/policy-rc.d"
    rm -rf "$root"/usr/share/{doc,info,lintian,locale,man}/* "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* \
        "$root"/var/log/*.log
    tar -C "$root" --exclude='./dev/*' -c . | docker import -c 'CMD ["bash"]' - "$image"
    rm -rf --one-file-system "$root"
}

# build SUITE IMAGE [ARGUMENT...]: the Dockerfile on standard input, in $work/context, on that Debian. The classic
# builder needs no plugin of the client; the host's network reaches the archive wherever the host does.
build() {
    local suite=$1 image=$2
    shift 2
    bootstrap "$suite" "stand-in:$suite"
    cat >"$work/context/Dockerfile"
    DOCKER_BUILDKIT=0 docker build --force-rm --network host --tag "$image" \
        --build-arg DEBIAN_FRONTEND=noninteractive "$@" "$work/context"
}

make_python() {
    build trixie "$1" <<'DOCKERFILE'
FROM stand-in:trixie
ARG DEBIAN_FRONTEND
RUN apt-get update && apt-get install -y ca-certificates python3 python3-pip python3-venv \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /usr/lib/python3*/EXTERNALLY-MANAGED \
 && ln -s python3 /usr/bin/python && ln -s /usr/bin/python /usr/bin/python3 /usr/bin/pip /usr/bin/pip3 /usr/local/bin/
ENV LANG=C.UTF-8
CMD ["python3"]
DOCKERFILE
}

# The official build has the stream module inside; Debian's is a file that modules-enabled/ loads. njs is a file of the
# same place in both, which a configuration loads that wants it.
# Debian's nginx keeps its temporary files in /var/lib/nginx: linked to where the official build has them.
make_nginx() {
    cat >"$work/context/nginx.conf" <<'CONF'
user nginx;
worker_processes auto;
error_log /var/log/nginx/error.log notice;
pid /run/nginx.pid;
events { worker_connections 1024; }
http {
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    access_log /var/log/nginx/access.log;
    sendfile on;
    keepalive_timeout 65;
    include /etc/nginx/conf.d/*.conf;
}
CONF
    cat >"$work/context/default.conf" <<'CONF'
server {
    listen 80;
    server_name localhost;
    location / {
        root /usr/share/nginx/html;
        index index.html;
    }
}
CONF
    printf '#!/bin/sh\nexec "$@"\n' >"$work/context/docker-entrypoint.sh"
    build sid "$1" <<'DOCKERFILE'
FROM stand-in:sid
ARG DEBIAN_FRONTEND
RUN groupadd --system --gid 101 nginx \
 && useradd --system --uid 101 --gid nginx --no-create-home --home-dir /nonexistent --shell /bin/false nginx \
 && apt-get update && apt-get install -y ca-certificates curl nginx libnginx-mod-http-js libnginx-mod-stream \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /etc/nginx/*-available /etc/nginx/sites-enabled /var/lib/nginx \
 && install -d /var/cache/nginx /etc/nginx/conf.d && ln -s /var/cache/nginx /var/lib/nginx \
 && ln -sf /dev/stdout /var/log/nginx/access.log && ln -sf /dev/stderr /var/log/nginx/error.log
COPY nginx.conf /etc/nginx/
COPY default.conf /etc/nginx/conf.d/
COPY docker-entrypoint.sh /
RUN chmod +x /docker-entrypoint.sh && nginx -t && rm -rf /var/cache/nginx/* /run/nginx.pid
ENTRYPOINT ["/docker-entrypoint.sh"]
EXPOSE 80
STOPSIGNAL SIGQUIT
CMD ["nginx", "-g", "daemon off;"]
DOCKERFILE
}

# make_postgres IMAGE SUITE MAJOR PGDATA VOLUME
make_postgres() {
    cat >"$work/context/docker-entrypoint.sh" <<'SH'
#!/bin/bash
# The official entry point's main path: gives up root, and on the first start makes the cluster, user and database.
set -Eeo pipefail
for name in POSTGRES_PASSWORD POSTGRES_USER POSTGRES_DB POSTGRES_INITDB_ARGS; do
    file=${name}_FILE
    if [ -n "${!file:-}" ]; then export "$name=$(<"${!file}")"; fi
    unset "$file"
done
if [ "${1:0:1}" = - ]; then set -- postgres "$@"; fi
if [ "$1" = postgres ]; then
    if [ "$(id -u)" = 0 ]; then
        mkdir -p "$PGDATA"
        chmod 700 "$PGDATA"
        find "$PGDATA" ! -user postgres -exec chown postgres {} +
        exec gosu postgres "$0" "$@"
    fi
    if [ ! -s "$PGDATA/PG_VERSION" ]; then
        if [ -z "$POSTGRES_PASSWORD" ] && [ "$POSTGRES_HOST_AUTH_METHOD" != trust ]; then
            echo 'Database is uninitialized and superuser password is not specified.' >&2
            exit 1
        fi
        user=${POSTGRES_USER:-postgres} database=${POSTGRES_DB:-${POSTGRES_USER:-postgres}}
        mkdir -p "$PGDATA"
        eval 'initdb --username="$user" --pwfile=<(printf "%s\n" "${POSTGRES_PASSWORD:-unused}")' "$POSTGRES_INITDB_ARGS"
        echo "host all all all ${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}" >>"$PGDATA/pg_hba.conf"
        PGUSER=$user PGPASSWORD=$POSTGRES_PASSWORD pg_ctl -w -o "-c listen_addresses=''" start
        sql=(psql -v ON_ERROR_STOP=1 --no-psqlrc --username "$user" --no-password)
        if [ "$database" != postgres ]; then
            "${sql[@]}" --dbname postgres -v name="$database" <<<'create database :"name"'
        fi
        for file in /docker-entrypoint-initdb.d/*; do
            case $file in
                *.sh) bash "$file" ;;
                *.sql) "${sql[@]}" --dbname "$database" -f "$file" ;;
            esac
        done
        pg_ctl -w -m fast stop
    fi
fi
exec "$@"
SH
    build "$2" "$1" --build-arg "SUITE=$2" --build-arg "PG_MAJOR=$3" --build-arg "PGDATA=$4" --build-arg "VOLUME=$5" <<'DOCKERFILE'
ARG SUITE
FROM stand-in:$SUITE
ARG DEBIAN_FRONTEND
ARG PG_MAJOR
ARG PGDATA
ARG VOLUME
RUN groupadd --system --gid 999 postgres \
 && useradd --system --uid 999 --gid postgres --home-dir /var/lib/postgresql --shell /bin/bash postgres \
 && install -d -o postgres -g postgres -m 1777 /var/lib/postgresql \
 && apt-get update && apt-get install -y gosu locales postgresql-common systemd-standalone-tmpfiles xz-utils zstd \
 && sed -i 's/^#*create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf \
 && apt-get install -y "postgresql-$PG_MAJOR" "postgresql-$PG_MAJOR-pgvector" \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/lib/postgresql/* \
 && localedef -i en_US -c -f UTF-8 en_US.UTF-8 \
 && sed -i "s/^#listen_addresses = .*/listen_addresses = '*'/" "/usr/share/postgresql/$PG_MAJOR/postgresql.conf.sample" \
 && install -d -o postgres -g postgres -m 3777 /run/postgresql && install -d -o postgres -g postgres -m 1777 "$VOLUME" \
 && mkdir /docker-entrypoint-initdb.d
COPY docker-entrypoint.sh /usr/local/bin/
RUN chmod +x /usr/local/bin/docker-entrypoint.sh
ENV LANG=en_US.utf8 PG_MAJOR=$PG_MAJOR PGDATA=$PGDATA PATH=$PATH:/usr/lib/postgresql/$PG_MAJOR/bin
VOLUME $VOLUME
ENTRYPOINT ["docker-entrypoint.sh"]
STOPSIGNAL SIGINT
EXPOSE 5432
CMD ["postgres"]
DOCKERFILE
}

make_redis() {
    cat >"$work/context/docker-entrypoint.sh" <<'SH'
#!/bin/sh
# As the official one: options or a configuration file alone mean redis-server, which gives up root.
set -e
case $1 in -* | *.conf) set -- redis-server "$@" ;; esac
if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
    find . ! -user redis -exec chown redis {} +
    exec setpriv --reuid=redis --regid=redis --clear-groups -- "$0" "$@"
fi
exec "$@"
SH
    build sid "$1" <<'DOCKERFILE'
FROM stand-in:sid
ARG DEBIAN_FRONTEND
RUN groupadd --system --gid 999 redis && useradd --system --uid 999 --gid redis redis \
 && apt-get update && apt-get install -y redis-server && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
 && install -d -o redis -g redis /data
COPY docker-entrypoint.sh /usr/local/bin/
RUN chmod +x /usr/local/bin/docker-entrypoint.sh
VOLUME /data
WORKDIR /data
ENTRYPOINT ["docker-entrypoint.sh"]
EXPOSE 6379
CMD ["redis-server"]
DOCKERFILE
}

make_mysql() {
    cat >"$work/context/docker-entrypoint.sh" <<'SH'
#!/bin/bash
# As the official one for any command but mysqld itself, which would need its first-start steps here.
set -eo pipefail
if [ "${1:0:1}" = - ] || [ "$1" = mysqld ]; then
    echo "this stand-in makes no database by itself: give it a start script" >&2
    exit 1
fi
exec "$@"
SH
    build sid "$1" <<'DOCKERFILE'
FROM stand-in:sid
ARG DEBIAN_FRONTEND
RUN groupadd --system --gid 999 mysql \
 && useradd --system --uid 999 --gid 999 --home-dir /var/lib/mysql --no-create-home mysql \
 && apt-get update && apt-get install -y mysql-server-core mysql-client-core \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/lib/mysql \
 && install -d -o mysql -g mysql -m 1777 /var/lib/mysql /var/run/mysqld && install -d /etc/mysql/conf.d \
 && printf '%s\n' '[mysqld]' user=mysql socket=/var/run/mysqld/mysqld.sock \
    '[client]' socket=/var/run/mysqld/mysqld.sock '!includedir /etc/mysql/conf.d/' >/etc/my.cnf
COPY docker-entrypoint.sh /usr/local/bin/
RUN chmod +x /usr/local/bin/docker-entrypoint.sh
VOLUME /var/lib/mysql
ENTRYPOINT ["docker-entrypoint.sh"]
EXPOSE 3306 33060
CMD ["mysqld"]
DOCKERFILE
}

# Debian's scripts in /usr/sbin change the user and the output; the official image has RabbitMQ's own, in /opt. It has
# no Python, curl or wget, so this one has none either.
make_rabbitmq() {
    cat >"$work/context/docker-entrypoint.sh" <<'SH'
#!/bin/bash
# As the official one: gives up root.
set -euo pipefail
if [[ "$1" == rabbitmq* ]] && [ "$(id -u)" = 0 ]; then
    if [ "$1" = rabbitmq-server ]; then find /var/lib/rabbitmq ! -user rabbitmq -exec chown rabbitmq {} +; fi
    exec setpriv --reuid=rabbitmq --regid=rabbitmq --clear-groups -- "$0" "$@"
fi
exec "$@"
SH
    printf '%s\n' 'loopback_users.guest = false' 'log.console = true' >"$work/context/10-defaults.conf"
    build sid "$1" <<'DOCKERFILE'
FROM stand-in:sid
ARG DEBIAN_FRONTEND
RUN groupadd --system --gid 999 rabbitmq \
 && useradd --system --uid 999 --gid rabbitmq --home-dir /var/lib/rabbitmq rabbitmq \
 && apt-get update && apt-get install -y rabbitmq-server \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/lib/rabbitmq /etc/rabbitmq /usr/sbin/rabbitmq* \
 && ln -s /usr/lib/rabbitmq/lib/rabbitmq_server-* /opt/rabbitmq && ln -s /opt/rabbitmq/plugins /plugins \
 && install -d -o rabbitmq -g rabbitmq -m 1777 /var/lib/rabbitmq /etc/rabbitmq /etc/rabbitmq/conf.d /var/log/rabbitmq \
 && echo '[rabbitmq_management,rabbitmq_prometheus].' >/etc/rabbitmq/enabled_plugins
COPY 10-defaults.conf /etc/rabbitmq/conf.d/
COPY docker-entrypoint.sh /usr/local/bin/
RUN chmod +x /usr/local/bin/docker-entrypoint.sh
ENV RABBITMQ_DATA_DIR=/var/lib/rabbitmq RABBITMQ_HOME=/opt/rabbitmq HOME=/var/lib/rabbitmq \
    PATH=/opt/rabbitmq/sbin:$PATH LANG=C.UTF-8 LANGUAGE=C.UTF-8 LC_ALL=C.UTF-8 RUNNING_UNDER_SYSTEMD=true
VOLUME /var/lib/rabbitmq
ENTRYPOINT ["docker-entrypoint.sh"]
EXPOSE 4369 5671 5672 15671 15672 15691 15692 25672
CMD ["rabbitmq-server"]
DOCKERFILE
}

make_lego() {
    build sid "$1" <<'DOCKERFILE'
FROM stand-in:sid
ARG DEBIAN_FRONTEND
RUN apt-get update && apt-get install -y ca-certificates lego tzdata && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
 && /usr/bin/lego --version | grep -q 'version 4.35.2' && mv /usr/bin/lego /lego
ENTRYPOINT ["/lego"]
EXPOSE 80
DOCKERFILE
}

# make_program IMAGE PACKAGE PROGRAM USER [DATA [VERSION]]: as the official ones, whose only shell and HTTP client are
# Busybox's. DATA is a directory of the user's own; VERSION is the package's, where it is not the image's.
make_program() {
    local version=${6:-${1#*:v}} data=${5:-/tmp}
    cat >"$work/exporter" <<'DOCKERFILE'
FROM stand-in:sid AS made
ARG DEBIAN_FRONTEND
ARG PACKAGE
ARG PROGRAM
ARG VERSION
ARG USER
ARG DATA
RUN apt-get update && apt-get install -y busybox-static "$PACKAGE" \
 && "$PACKAGE" --version 2>&1 | grep -qF "$VERSION" \
 && mkdir -p /image/bin /image/etc && mkdir -m 1777 /image/tmp \
 && cp /bin/busybox /image/bin/ && chroot /image /bin/busybox --install -s /bin \
 && printf 'root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' > /image/etc/passwd \
 && cp "/usr/bin/$PACKAGE" "/image$PROGRAM" && mkdir -p "/image$DATA" \
 && if [ "$DATA" != /tmp ]; then chown "$USER" "/image$DATA"; fi \
 && if [ -d /usr/share/prometheus ]; then cp --parents -Lr /usr/share/prometheus /image; fi \
 && ldd "/usr/bin/$PACKAGE" | grep -o '/[^ ]*' | xargs -I '{}' cp --parents -L '{}' /image
FROM scratch
ARG USER
COPY --from=made /image /
ENV PATH=/bin
USER $USER
DOCKERFILE
    printf 'ENTRYPOINT ["%s"]\n' "$3" >>"$work/exporter"
    build sid "$1" --build-arg "PACKAGE=$2" --build-arg "PROGRAM=$3" --build-arg "USER=$4" \
        --build-arg "DATA=$data" --build-arg "VERSION=${version%-alpine}" <"$work/exporter"
}

# make_from_go IMAGE NAME PROGRAM [DATA]: a program of tests/monitoring/log_programs.py and nothing else, as the official
# ones. DATA is a directory of the user's own.
make_from_go() {
    local built
    built=$(cd "$checkout" && .venv/bin/python -m tests.monitoring.log_programs "$2" | tail -n 1)
    mkdir -p "$work/context/image$(dirname "$3")" "$work/context/image${4:-/tmp}"
    cp "$built" "$work/context/image$3"
    chown 10001:10001 "$work/context/image${4:-/tmp}"
    tar -C "$work/context/image" -c . |
        docker import -c "ENTRYPOINT [\"$3\"]" -c 'USER 10001' - "$1"
}

make() {
    rm -rf "$work/context"
    mkdir "$work/context"
    case $1 in
        debian:bookworm-slim) bootstrap bookworm "$1" ;;
        python:3.13-slim-bookworm) make_python "$1" ;;
        nginx:1.30) make_nginx "$1" ;;
        postgres:18) make_postgres "$1" sid 18 /var/lib/postgresql/18/docker /var/lib/postgresql ;;
        postgres:17) make_postgres "$1" trixie 17 /var/lib/postgresql/data /var/lib/postgresql/data ;;
        redis:8) make_redis "$1" ;;
        mysql:8.4) make_mysql "$1" ;;
        rabbitmq:4-management) make_rabbitmq "$1" ;;
        goacme/lego:v4.35.2) make_lego "$1" ;;
        prom/prometheus:v3.13.5) make_program "$1" prometheus /bin/prometheus 65534:65534 /prometheus 3.5 ;;
        prom/alertmanager:v0.33.1)
            make_program "$1" prometheus-alertmanager /bin/alertmanager 65534:65534 /alertmanager
            ;;
        prom/blackbox-exporter:v0.28.0)
            make_program "$1" prometheus-blackbox-exporter /bin/blackbox_exporter 65534:65534
            ;;
        prom/node-exporter:v1.11.1)
            make_program "$1" prometheus-node-exporter /bin/node_exporter 65534:65534
            ;;
        prometheuscommunity/postgres-exporter:v0.19.1)
            make_program "$1" prometheus-postgres-exporter /bin/postgres_exporter 65534:65534
            ;;
        prom/mysqld-exporter:v0.19.0) make_program "$1" prometheus-mysqld-exporter /bin/mysqld_exporter 65534:65534 ;;
        oliver006/redis_exporter:v1.86.0-alpine)
            make_program "$1" prometheus-redis-exporter /redis_exporter 59000:59000
            ;;
        grafana/loki:3.7.8) make_from_go "$1" loki /usr/bin/loki /loki ;;
        otel/opentelemetry-collector-contrib:0.160.0) make_from_go "$1" otelcol-contrib /otelcol-contrib ;;
        *)
            echo "no stand-in is known for $1" >&2
            return 1
            ;;
    esac
}

if [ $# = 0 ]; then
    set -- debian:bookworm-slim python:3.13-slim-bookworm nginx:1.30 postgres:18 postgres:17 redis:8 mysql:8.4 \
        rabbitmq:4-management goacme/lego:v4.35.2 prometheuscommunity/postgres-exporter:v0.19.1 \
        prom/mysqld-exporter:v0.19.0 oliver006/redis_exporter:v1.86.0-alpine prom/prometheus:v3.13.5 \
        prom/alertmanager:v0.33.1 prom/blackbox-exporter:v0.28.0 prom/node-exporter:v1.11.1 grafana/loki:3.7.8 \
        otel/opentelemetry-collector-contrib:0.160.0
fi
for image; do
    if present "$image"; then
        echo "$image is present"
        continue
    fi
    make "$image" >"$work/log" 2>&1 # not in a condition: that would switch off "set -e" inside; finish shows the log
    echo "$image is made"
done
