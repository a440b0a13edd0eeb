"""RabbitMQ, by its own plugin."""

from __future__ import annotations

from ..objectives import Objectives
from .panels import RATE, Dashboard, Panel, Query, Row, falling, rising
from .shared import SHARE, YES_NO, running_for, service_uid, warned

PER_QUEUE = "sum by (vhost, queue)"


def rabbitmq_dashboard(service: str, objectives: Objectives) -> Dashboard:
    job = f'job="{service}"'
    used = f"max(rabbitmq_detailed_process_resident_memory_bytes{{{job}}})"
    memory = f"{used} / max(rabbitmq_detailed_resident_memory_limit_bytes{{{job}}})"
    return Dashboard(
        uid=service_uid(service),
        title=f"RabbitMQ: {service}",
        text="Which work waits, who works on it, and whether more is taken.",
        tags=("service",),
        filled=(Query(expr=memory, legend=f"{service}: memory", steps=warned(1)),),
        rows=(
            Row(title="Now", panels=(*_now(job, memory, objectives), *_room(job))),
            Row(title="Queues", panels=_queues(job, objectives)),
            Row(title="Clients and memory", panels=_clients(job)),
        ),
    )


def _now(job: str, memory: str, objectives: Objectives) -> tuple[Panel, ...]:
    return (
        Panel(
            kind="number",
            title="Answers",
            unit=YES_NO,
            text="No: nothing can be queued, and requests that try fail or hang.",
            queries=(Query(expr=f"min(up{{{job}}})"),),
            steps=falling(1),
            width=4,
            height=4,
            runbooks=("ServiceDown",),
        ),
        running_for(f"rabbitmq_detailed_erlang_uptime_seconds{{{job}}}", "RabbitmqRestarts"),
        Panel(
            kind="number",
            title="Longest queue",
            unit="short",
            text="Messages that wait in it. While it shrinks, leave it alone; while it grows, start more workers.",
            queries=(Query(expr=f"max({PER_QUEUE} (rabbitmq_detailed_queue_messages_ready{{{job}}}))"),),
            steps=warned(objectives.queue_messages),
            width=4,
            height=4,
            empty="no queue",
            runbooks=("RabbitmqQueueGrows",),
        ),
        Panel(
            kind="number",
            title="Memory up to its alarm",
            unit=SHARE,
            text="At 100 % it makes everybody wait who publishes: work off the longest queue.",
            queries=(Query(expr=memory),),
            steps=warned(1),
            width=4,
            height=4,
            most=1,
            runbooks=("RabbitmqMemoryAlarm",),
        ),
    )


def _room(job: str) -> tuple[Panel, ...]:
    free = f"min(rabbitmq_detailed_disk_space_available_bytes{{{job}}})"
    least = f"max(rabbitmq_detailed_disk_space_available_limit_bytes{{{job}}})"
    files = f"max(rabbitmq_detailed_process_open_fds{{{job}}}) / max(rabbitmq_detailed_process_max_fds{{{job}}})"
    return (
        Panel(
            kind="number",
            title="Disk, times its alarm",
            unit="short",
            text="How often the least free space is there. At 1 it makes everybody wait who publishes.",
            queries=(Query(expr=f"{free} / {least}"),),
            steps=falling(1, 2),
            width=4,
            height=4,
            runbooks=("RabbitmqDiskAlarm",),
        ),
        Panel(
            kind="number",
            title="Open files",
            unit=SHARE,
            text="Of those it may open; each connection takes one. Near 100 % it takes no more connections.",
            queries=(Query(expr=files),),
            steps=rising(0.9, 0.8),
            width=4,
            height=4,
            most=1,
        ),
    )


def _queues(job: str, objectives: Objectives) -> tuple[Panel, ...]:
    return (
        Panel(
            kind="lines",
            title="Messages that wait",
            unit="short",
            text="A queue that grows by day and empties at night wants more workers by day.",
            queries=(
                Query(expr=f"{PER_QUEUE} (rabbitmq_detailed_queue_messages_ready{{{job}}})", legend="{{queue}}"),
            ),
            steps=rising(objectives.queue_messages),
            width=8,
            runbooks=("RabbitmqQueueGrows",),
        ),
        Panel(
            kind="lines",
            title="Messages in work",
            unit="short",
            text="Taken by a worker and not yet acknowledged. A level that stays: a job that hangs.",
            queries=(
                Query(expr=f"{PER_QUEUE} (rabbitmq_detailed_queue_messages_unacked{{{job}}})", legend="{{queue}}"),
            ),
            width=8,
        ),
        Panel(
            kind="lines",
            title="Consumers",
            unit="short",
            text="Zero where messages wait: the workers are gone. Look at their log.",
            queries=(Query(expr=f"{PER_QUEUE} (rabbitmq_detailed_queue_consumers{{{job}}})", legend="{{queue}}"),),
            width=8,
            runbooks=("RabbitmqNoConsumers",),
        ),
    )


def _clients(job: str) -> tuple[Panel, ...]:
    opened, closed = (f"sum(rabbitmq_detailed_connections_{name}_total{{{job}}})" for name in ("opened", "closed"))
    return (
        Panel(
            kind="lines",
            title="Connections",
            unit="short",
            text="One or two for each replica are usual. Hundreds: an app opens one for each message.",
            queries=(Query(expr=f"{opened} - {closed}", legend="open"),),
            width=8,
        ),
        Panel(
            kind="lines",
            title="Connections opened a second",
            unit="ops",
            text="Each costs more than many messages. An app that opens them all the time should keep one.",
            queries=(
                Query(
                    expr=f"sum(rate(rabbitmq_detailed_connections_opened_total{{{job}}}[{RATE}]))", legend="opened"
                ),
            ),
            width=8,
        ),
        Panel(
            kind="lines",
            title="Memory",
            unit="bytes",
            text="Where it meets the alarm, publishers wait.",
            queries=(
                Query(expr=f"max(rabbitmq_detailed_process_resident_memory_bytes{{{job}}})", legend="used"),
                Query(expr=f"max(rabbitmq_detailed_resident_memory_limit_bytes{{{job}}})", legend="alarm"),
            ),
            width=8,
            runbooks=("RabbitmqMemoryAlarm",),
        ),
    )
