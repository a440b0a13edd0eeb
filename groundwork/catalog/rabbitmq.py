"""RabbitMQ."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from ..model import Name, Whole
from ..monitoring.alerts import Alert
from ..monitoring.dashboards.panels import Dashboard
from ..monitoring.dashboards.rabbitmq import rabbitmq_dashboard
from ..monitoring.objectives import Objectives
from ..monitoring.rabbitmq_rules import rabbitmq_alerts
from ..workload import FILES, Exec, File, Metrics, Probes, Resources, SecretRef, Volume, Workload
from .backing_service import ADMIN_PASSWORD, PASSWORD, BackingService, Sizing

VOLUME = "/var/lib/rabbitmq"
DEFINITIONS = "/tmp/definitions.json"
VirtualHost = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,50}$")]

START = f"""\
#!/bin/sh
# Definitions are loaded at every start, so that the admin's password is that of the file even where a volume was kept,
# and because of them no user `guest` is made. The hash is base64(salt + SHA-256(salt + password)).
set -eu
# The highest version whose features are switched on in the volume: nothing older knows what is written there.
held=$(grep -o 'rabbitmq_[0-9]*\\.[0-9]*' {VOLUME}/mnesia/rabbit@localhost-feature_flags 2> /dev/null |
    sort -V | tail -n 1)
program=$(readlink -f "$(command -v rabbitmq-server)")
runs=$(basename "${{program%/sbin/*}}"/plugins/rabbit-[0-9]*)
if [ "$(printf '%s\\n' "${{held#rabbitmq_}}" "${{runs#rabbit-}}" | sort -V | tail -n 1)" != "${{runs#rabbit-}}" ]; then
    echo "this volume holds data of RabbitMQ ${{held#rabbitmq_}}; set the service's version back to that," >&2
    echo "or use up its queues there and begin under a service of another name" >&2
    exit 1
fi
umask 077
salt=$(head -c 4 /dev/urandom | od -An -tx1 | tr -d ' \\n')
octal() {{
    printf '%s' "$1" | sed 's/../0x& /g' | tr ' ' '\\n' | while read -r byte; do printf '\\\\%03o' "$byte"; done
}}
salt=$(octal "$salt")
# shellcheck disable=SC2059 # octal numbers
sum=$({{ printf "$salt"; tr -d '\\n' < {ADMIN_PASSWORD}; }} | sha256sum | cut -d' ' -f1)
# shellcheck disable=SC2059
hash=$(printf "$salt$(octal "$sum")" | base64 -w 0)
sed "s#HASH#$hash#" {FILES}/definitions.json > {DEFINITIONS}
umask 027
# Erlang refuses a cookie that a group may read, which is what Kubernetes makes of a volume that it hands over.
[ ! -e {VOLUME}/.erlang.cookie ] || chmod 400 {VOLUME}/.erlang.cookie
# Erlang starts this as well, and gives up where it is not yet listening.
epmd -daemon
until epmd -names > /dev/null 2>&1; do sleep 0.1; done
exec rabbitmq-server
"""

# The image has neither curl nor wget nor Python: bash is what speaks HTTP there, and what it prints is no argument.
CALL = """\
bash -euo pipefail <<'BASH'
call() {{
    local login status
    login=$(printf 'admin:%s' "$(< {admin})" | base64 -w 0)
    exec 3<> /dev/tcp/{host}/{port}
    printf '%s /api/%s HTTP/1.0\\r\\nHost: {host}\\r\\nAuthorization: Basic %s\\r\\n' "$1" "$2" "$login" >&3
    printf 'Content-Type: application/json\\r\\nContent-Length: %s\\r\\n\\r\\n%s' "${{#3}}" "$3" >&3
    read -r _ status _ <&3
    exec 3>&-
    [[ $status == 2?? ]] || {{ echo "$1 $2: $status" >&2; return 1; }}
}}
"""

CREATE = (
    CALL
    + """\
call PUT users/{user} '{{"tags": "", "password": "'"$(< {password})"'"}}'
call PUT permissions/{vhost}/{user} '{{"configure": ".*", "write": ".*", "read": ".*"}}'
BASH
"""
)

# Deleting the user, or taking its rights, would cut the connections of whoever is still draining.
RETIRE = (
    CALL
    + """\
call PUT users/{user} '{{"tags": "", "password_hash": ""}}'
BASH
"""
)

LIVENESS = """\
bash -c 'exec 3<> /dev/tcp/127.0.0.1/{metrics} && printf "GET / HTTP/1.0\\r\\n\\r\\n" >&3 && read -r -t 2 said <&3 &&
    [[ $said == HTTP/* ]]' 2>&1"""
READINESS = "bash -c ': < /dev/tcp/127.0.0.1/{port}' 2>&1"

# Memory, disk and descriptors; the marks beyond which publishers wait; connections made and ended, where more end than
# are made, since a probe that never logs in counts as one of the former alone.
NODE_FAMILIES = ("node_coarse_metrics", "node_metrics", "connection_churn_metrics")


class RabbitMq(BackingService):
    """A broker with one virtual host. Apps log in as a user of their generation, with every right in it."""

    name: Name = "rabbitmq"
    """What apps write in `uses` and in templates; also its host name."""
    vhost: VirtualHost
    """The virtual host, and the stem of its users' names."""
    ack_seconds: Annotated[Whole, Field(ge=60, le=2_592_000)] = 1800
    """How long a consumer may keep a message that it has not acknowledged; then its channel is closed and others get
    the message. Must be longer than the longest task, and for Celery than the longest `countdown`."""

    versions: ClassVar[Mapping[str, str]] = {version: f"rabbitmq:{version}-management" for version in ("3", "4")}
    default_version: ClassVar[str] = "4"
    default_resources: ClassVar[Resources] = Resources(memory_mib=512, cpus=1)
    minimum_memory_mib: ClassVar[int] = 256
    """The server itself takes 100 MiB, so that 50 are left below the mark at which publishers have to wait."""
    machine_role: ClassVar[Literal["data", "cache"]] = "cache"
    port: ClassVar[int] = 5672
    side_ports: ClassVar[Mapping[str, int]] = {"management": 15672, "metrics": 15692}
    account_port: ClassVar[str] = "management"
    retire_seconds: ClassVar[int] = 60
    """Without a password the predecessor keeps the connections it has, so new ones get a minute before that."""
    user: ClassVar[str] = "999:999"

    @property
    def account(self) -> str:
        return self.vhost

    def workload(self, sizing: Sizing) -> Workload:
        schedulers = max(1, math.ceil(sizing.resources.cpus))
        return Workload(
            name=self.name,
            role="service",
            image=sizing.image,
            command=("/bin/sh", f"{FILES}/start.sh"),
            user=self.user,
            env={
                # The cookie is made there at the first start.
                "HOME": VOLUME,
                # Data lies below the node's name, and a container gets another host name whenever it is replaced.
                "RABBITMQ_NODENAME": "rabbit@localhost",
                "RABBITMQ_MNESIA_BASE": f"{VOLUME}/mnesia",
                "RABBITMQ_CONFIG_FILE": f"{FILES}/rabbitmq.conf",
                # Nothing of the image's own, which opens `guest` to the network.
                "RABBITMQ_CONFIG_FILES": f"{FILES}/none/*.conf",
                "RABBITMQ_ENABLED_PLUGINS_FILE": f"{FILES}/enabled_plugins",
                "RABBITMQ_LOGS": "-",
                # Nobody else is in the cluster.
                "ERL_EPMD_ADDRESS": "127.0.0.1",
                # Erlang sees the machine's processors, not the limit. A scheduler that waits for work must not spin.
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"+S {schedulers}:{schedulers} "
                "-kernel inet_dist_use_interface {127,0,0,1}",
                # Its script then becomes the server, and passes signals on to it.
                "RUNNING_UNDER_SYSTEMD": "true",
            },
            files=(
                File(name="start.sh", content=START),
                File(name="rabbitmq.conf", content=self.configuration(sizing.resources)),
                File(name="definitions.json", content=DEFINED % {"vhost": self.vhost}),
                File(name="enabled_plugins", content="[rabbitmq_management,rabbitmq_prometheus].\n"),
                self.admin_file(),
            ),
            volumes=(Volume(name=f"{self.name}-data", path=VOLUME),),
            port=self.port,
            side_ports=self.side_ports,
            resources=sizing.resources,
            probes=Probes(
                # Erlang itself answers at the metrics' port; the kernel alone would accept a connection.
                liveness=Exec(command=LIVENESS.format(metrics=self.side_ports["metrics"])),
                # Opened last, when everything is recovered.
                readiness=Exec(command=READINESS.format(port=self.port)),
                startup_seconds=300,
            ),
            timeout_seconds=300,
            grace_seconds=60,
            metrics=self.metrics if sizing.monitored else None,
        )

    @property
    def metrics(self) -> Metrics:
        """Its plugin's, by queue: the sums of `/metrics` hide that one of several has no consumer, and
        `/metrics/per-object` has dozens of series for each channel and connection as well, of which there is no end.

        These are six series for each queue of the vhost and thirty for the node; `/metrics` has six hundred.
        """
        families = ("queue_coarse_metrics", "queue_consumer_count", *NODE_FAMILIES)
        query = "&".join((f"vhost={self.vhost}", *(f"family={family}" for family in families)))
        return Metrics(port=self.side_ports["metrics"], path=f"/metrics/detailed?{query}")

    def configuration(self, resources: Resources) -> str:
        """`rabbitmq.conf` for one node on `resources`.

        Publishers wait when 60 % of the memory are used, RabbitMQ 4's own share; it recommends 40 to 70 % and an
        absolute figure in containers (Memory Alarm Threshold), since Erlang copies while it collects garbage. They wait
        too while less is free on the disk than there is memory, the least of its production checklist.

        Queues are classic unless an app asks for another type: quorum queues replicate, with one node to nowhere, and
        refuse the global prefetch limit that Celery sets before 5.5. That limit, and the queues of Celery's remote
        control, which are neither durable nor exclusive, are features on their way out: permitted here by name.
        """
        memory = resources.memory_mib
        return f"""\
listeners.tcp.default = {self.port}
management.tcp.port = {self.side_ports["management"]}
prometheus.tcp.port = {self.side_ports["metrics"]}
load_definitions = {DEFINITIONS}
vm_memory_high_watermark.absolute = {memory * 6 // 10}MiB
disk_free_limit.absolute = {memory}MiB
consumer_timeout = {self.ack_seconds * 1000}
heartbeat = 60
log.console = true
log.console.level = info
# Prometheus reads what this would collect once more.
management_agent.disable_metrics_collector = true
deprecated_features.permit.global_qos = true
deprecated_features.permit.transient_nonexcl_queues = true
"""

    def create_account(self, username: str) -> str:
        return CREATE.format(**self._names, user=username, password=PASSWORD, vhost=self.vhost)

    def retire_account(self, username: str) -> str:
        return RETIRE.format(**self._names, user=username)

    @property
    def _names(self) -> Mapping[str, object]:
        return {"host": self.name, "port": self.side_ports[self.account_port], "admin": ADMIN_PASSWORD}

    def alerts(self, sizing: Sizing, objectives: Objectives) -> tuple[Alert, ...]:
        return rabbitmq_alerts(self.name, objectives)

    def dashboard(self, objectives: Objectives) -> Dashboard:
        return rabbitmq_dashboard(self.name, objectives)

    def connection(self, generation: int) -> Mapping[str, str | SecretRef]:
        return {**super().connection(generation), "vhost": self.vhost}


DEFINED = """\
{
    "vhosts": [{"name": "%(vhost)s", "default_queue_type": "classic"}],
    "users": [{"name": "admin", "tags": ["administrator"], "password_hash": "HASH",
        "hashing_algorithm": "rabbit_password_hashing_sha256"}],
    "permissions": [{"user": "admin", "vhost": "%(vhost)s", "configure": ".*", "write": ".*", "read": ".*"}]
}
"""
