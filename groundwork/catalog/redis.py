"""Redis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from ..model import Name
from ..monitoring.alerts import Alert
from ..monitoring.dashboards.panels import Dashboard
from ..monitoring.dashboards.redis import redis_dashboard
from ..monitoring.objectives import Objectives
from ..monitoring.redis_rules import redis_alerts
from ..workload import FILES, Exec, File, Image, Probes, Resources, Template, Volume, Workload
from .backing_service import ADMIN_PASSWORD, EXPORTER, EXPORTER_PASSWORD, PASSWORD, BackingService, Sizing

START = f"""\
#!/bin/sh
# Users live in the volume, since they change while Redis runs; the passwords there are SHA-256 sums. The admin's is
# that of the file at every start: a volume that was kept may know another one.
set -eu
sum=$(tr -d '\\n' < {ADMIN_PASSWORD} | sha256sum | cut -d' ' -f1)
{{
    printf '%s\\n' 'user default on nopass resetchannels -@all +ping' "user admin on #$sum ~* &* +@all"
    grep -vE '^user (default|admin) ' /data/users.acl 2> /dev/null || true
}} > /data/users.new
mv /data/users.new /data/users.acl
exec redis-server {FILES}/redis.conf
"""

CREATE = """\
REDISCLI_AUTH="$(cat {admin})"
export REDISCLI_AUTH
rules='on ~* &* +@all -@admin -@dangerous +info +keys +sort'
said=$(printf 'ACL SETUSER {user} reset %s >%s\\nACL SAVE\\n' "$rules" "$(cat {password})" |
    redis-cli -h {host} --user admin --no-auth-warning)
[ "$said" = "$(printf 'OK\\nOK')" ] || {{ echo "$said" >&2; exit 1; }}
"""

RETIRE = """\
REDISCLI_AUTH="$(cat {admin})"
export REDISCLI_AUTH
printf 'ACL SETUSER {user} off resetpass\\nACL SAVE\\n' | redis-cli -h {host} --user admin --no-auth-warning
"""

# INFO has memory and clients with their bounds, evictions and the state of persistence, so that CONFIG is not needed.
# The log of slow commands has their number; their arguments as well, which the exporter does not show. No key, no
# channel.
MONITOR = """\
REDISCLI_AUTH="$(cat {admin})"
rules='on +info +slowlog|len +slowlog|get'
said=$(printf 'ACL SETUSER {user} reset %s >%s\\nACL SAVE\\n' "$rules" "$(cat {password})" |
    redis-cli -h {host} --user admin --no-auth-warning)
[ "$said" = "$(printf 'OK\\nOK')" ] || {{ echo "$said" >&2; exit 1; }}
"""


class Redis(BackingService):
    """A cache or a queue. Apps may do everything with keys and nothing with the server."""

    name: Name = "redis"
    """What apps write in `uses` and in templates; also its host name."""
    eviction: Literal["noeviction", "allkeys-lru", "allkeys-lfu", "volatile-lru"] = "noeviction"
    """What goes when memory is full. Whatever holds queued work must say `noeviction`; a cache says `allkeys-lru`."""
    durable: bool = True
    """Every second's writes survive a crash (append-only file); a cache may do without."""

    versions: ClassVar[Mapping[str, str]] = {version: f"redis:{version}" for version in ("7", "8")}
    default_version: ClassVar[str] = "8"
    default_resources: ClassVar[Resources] = Resources(memory_mib=128, cpus=0.5)
    minimum_memory_mib: ClassVar[int] = 24
    """Redis 8 itself takes 8 MiB, and 60 % of the limit are for data."""
    machine_role: ClassVar[Literal["data", "cache"]] = "cache"
    port: ClassVar[int] = 6379
    retire_seconds: ClassVar[int] = 60
    """Off keeps the connections of whoever is still draining, so new ones get a minute before they are refused."""
    user: ClassVar[str] = "999:999"
    exporter_image: ClassVar[str] = "oliver006/redis_exporter:v1.86.0-alpine"
    """The one without `-alpine` holds nothing but the program, and the probes need a shell."""

    def workload(self, sizing: Sizing) -> Workload:
        return Workload(
            name=self.name,
            role="service",
            image=sizing.image,
            command=("/bin/sh", f"{FILES}/start.sh"),
            user=self.user,
            files=(
                File(name="start.sh", content=START),
                File(name="redis.conf", content=self.configuration(sizing.resources)),
                self.admin_file(),
            ),
            volumes=(Volume(name=f"{self.name}-data", path="/data"),),
            port=self.port,
            resources=sizing.resources,
            probes=Probes(
                # Loading a large file is life, though not yet readiness.
                liveness=Exec(command="redis-cli -t 2 ping | grep -qE 'PONG|LOADING'"),
                readiness=Exec(command="redis-cli -t 2 ping | grep -q PONG"),
            ),
            grace_seconds=30,
        )

    def configuration(self, resources: Resources) -> str:
        """`redis.conf`: 60 % of the memory for data, since a rewrite of the file copies pages while they change."""
        return f"""\
bind * -::*
# Protected mode looks for a password of the default user; here that user may do nothing but PING.
protected-mode no
port {self.port}
dir /data
aclfile /data/users.acl
maxmemory {resources.memory_mib * 6 // 10}mb
maxmemory-policy {self.eviction}
appendonly {"yes" if self.durable else "no"}
appendfsync everysec
save {"3600 1 300 100" if self.durable else '""'}
# Commands of 10 ms and more, the last 128 of them: what S1 asks for.
slowlog-log-slower-than 10000
slowlog-max-len 128
tcp-keepalive 60
timeout 0
databases 16
loglevel notice
"""

    def alerts(self, sizing: Sizing, objectives: Objectives) -> tuple[Alert, ...]:
        return redis_alerts(self.name, objectives, evicts=self.eviction != "noeviction", durable=self.durable)

    def dashboard(self, objectives: Objectives) -> Dashboard:
        return redis_dashboard(self.name, objectives, evicts=self.eviction != "noeviction", durable=self.durable)

    def create_account(self, username: str) -> str:
        return CREATE.format(admin=ADMIN_PASSWORD, password=PASSWORD, host=self.name, user=username)

    def create_exporter_account(self) -> str:
        return MONITOR.format(admin=ADMIN_PASSWORD, password=EXPORTER_PASSWORD, host=self.name, user=EXPORTER)

    def exporter(self, sizing: Sizing, image: Image) -> Workload:
        address = f"redis://{self.name}:{self.port}"
        # It looks its password up by its own name and the server's.
        known = f'{{"redis://{EXPORTER}@{self.name}:{self.port}": "', self.exporter_password, '"}\n'
        secret = File(name="secrets/exporter.json", content=Template(known, escape="json"))
        return self._exporter(
            image,
            command=("/redis_exporter",),
            user="59000:59000",
            port=9121,
            env={
                "REDIS_ADDR": address,
                "REDIS_USER": EXPORTER,
                "REDIS_PASSWORD_FILE": secret.path,
                # Each would need a right of its own, for what INFO says as well or no alert speaks of.
                "REDIS_EXPORTER_CONFIG_COMMAND": "-",
                "REDIS_EXPORTER_SET_CLIENT_NAME": "false",
                "REDIS_EXPORTER_EXCLUDE_LATENCY_HISTOGRAM_METRICS": "true",
                # Sixteen databases with three series each, of which apps use one or two.
                "REDIS_EXPORTER_INCL_METRICS_FOR_EMPTY_DATABASES": "false",
                # Whoever reaches it could have it log in elsewhere with what it knows.
                "REDIS_EXPORTER_DISABLE_SCRAPE_ENDPOINT": "true",
            },
            secret=secret,
        )

    def retire_account(self, username: str) -> str:
        return RETIRE.format(admin=ADMIN_PASSWORD, host=self.name, user=username)
