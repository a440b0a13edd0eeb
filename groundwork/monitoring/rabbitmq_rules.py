"""RabbitMQ, by its own plugin: it is scraped itself, so that `ServiceDown` is about it already. Its alarms are in no
family of `/metrics/detailed`, yet both sides of their comparisons are."""

from __future__ import annotations

from .alerts import Alert
from .objectives import Objectives
from .service_rules import restarts

PLUGIN = "RabbitMQ documentation (alarms)"


def rabbitmq_alerts(service: str, objectives: Objectives) -> tuple[Alert, ...]:
    job = f'job="{service}"'
    by = "by (job, vhost, queue)"
    ready = f"sum {by} (rabbitmq_detailed_queue_messages_ready{{{job}}})"
    waiting = f"sum {by} (rabbitmq_detailed_queue_messages{{{job}}})"
    return (
        Alert(
            name="RabbitmqQueueGrows",
            expr=f"{ready} > {objectives.queue_messages}\n"
            f"and sum {by} (delta(rabbitmq_detailed_queue_messages_ready{{{job}}}[15m])) > 0",
            hold="10m",
            severity="P2",
            service=service,
            summary="Queue {{ $labels.queue }} grows",
            description='{{ printf "%.0f" $value }} messages wait in it, and more come than go.',
            why="Users wait longer and longer for what is done in the background.",
            reason="the system's own figure, while it still grows: one that is being worked off needs nobody",
            source="issue 6 (queue depth)",
        ),
        Alert(
            name="RabbitmqNoConsumers",
            expr=f"{waiting} > 0\nand sum {by} (rabbitmq_detailed_queue_consumers{{{job}}}) == 0",
            hold="5m",
            severity="P1",
            service=service,
            summary="Nobody works on queue {{ $labels.queue }}",
            description="{{ $value }} messages wait in it, and it has had no consumer for 5 minutes.",
            why="What is done in the background is not done at all.",
            reason="5 minutes: a release of the workers is shorter",
            source="issue 6 (consumers)",
        ),
        Alert(
            name="RabbitmqMemoryAlarm",
            expr=f"rabbitmq_detailed_process_resident_memory_bytes{{{job}}}\n"
            f"> rabbitmq_detailed_resident_memory_limit_bytes{{{job}}}",
            hold="1m",
            severity="P1",
            service=service,
            summary=f"{service} takes no more messages: memory",
            description="It has used the share of its memory that it may, and makes everybody wait who publishes.",
            why="Requests that queue work hang.",
            reason="RabbitMQ's own alarm, at 60 % of its memory; a minute, since it goes by itself where it can",
            source=PLUGIN,
        ),
        Alert(
            name="RabbitmqDiskAlarm",
            expr=f"rabbitmq_detailed_disk_space_available_bytes{{{job}}}\n"
            f"< rabbitmq_detailed_disk_space_available_limit_bytes{{{job}}}",
            hold="1m",
            severity="P1",
            service=service,
            summary=f"{service} takes no more messages: disk",
            description="Less is free on its disk than it has memory, and it makes everybody wait who publishes.",
            why="Requests that queue work hang, and a database on the same disk is next.",
            reason="RabbitMQ's own alarm, as the catalog sets it; a minute, since it goes by itself where it can",
            source=PLUGIN,
        ),
        restarts(
            "RabbitmqRestarts",
            f"rabbitmq_detailed_erlang_uptime_seconds{{{job}}}",
            service,
            why="Every connection breaks each time, and messages that are not durable are lost.",
        ),
    )
