"""The Celery application: every option of it, for those who send jobs (api, beat) and for the worker."""

from __future__ import annotations

from celery import Celery
from kombu import Exchange, Queue

from probe.database import TIMEOUT_SECONDS
from probe.kinds import JOBS, PROMPT, TICK
from probe.schedule import EveryPeriod
from probe.settings import Settings

RESULT_SECONDS = 3600
JOB_SECONDS = 120
"""A job that takes longer is killed, and with it a process of the worker that hangs."""


def application(settings: Settings, *, sender: bool) -> Celery:
    """The application. A `sender` keeps no results and gives up soon on a broker that does not answer."""
    # A sender with a result back end would subscribe to the result of every job it sends, and never stop.
    results = "" if sender else settings.celery_result_backend
    app = Celery("probe", broker=settings.celery_broker_url)
    # Not as a setting: over that one Celery itself prefers the environment's CELERY_RESULT_BACKEND.
    app.backend_cls = results or "disabled://"
    exchange = Exchange("probe", type="direct", durable=True)
    # Quorum queues: on disk before the sender hears that its message was taken. With them Celery asks for no prefetch
    # for a whole channel, which RabbitMQ deprecates as it does queues that are transient and not exclusive.
    queues = [
        Queue(name, exchange, routing_key=name, durable=True, queue_arguments={"x-queue-type": "quorum"})
        for name in (JOBS, PROMPT)
    ]
    transport: dict[str, object] = {"confirm_publish": True}
    if sender:
        transport |= {"read_timeout": TIMEOUT_SECONDS, "write_timeout": TIMEOUT_SECONDS}
    app.conf.update(
        # messages
        accept_content=["json"],
        task_serializer="json",
        result_serializer="json",
        task_queues=queues,
        task_create_missing_queues=False,
        task_default_queue=JOBS,
        task_default_exchange=exchange.name,
        task_default_routing_key=JOBS,
        task_routes={TICK: {"queue": PROMPT}},
        # A pooled connection that the broker has closed meanwhile is noticed by using it.
        task_publish_retry_policy={"max_retries": 1, "interval_start": 0, "interval_step": 0},
        # results
        result_expires=RESULT_SECONDS,
        result_backend_transport_options={"retry_policy": {"timeout": 5.0}},
        redis_socket_timeout=TIMEOUT_SECONDS,
        redis_socket_connect_timeout=TIMEOUT_SECONDS,
        # the broker
        broker_transport_options=transport,
        broker_connection_timeout=TIMEOUT_SECONDS,
        broker_connection_retry=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_heartbeat=10,
        # the worker: a job is done when it is done, not when it was taken
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_time_limit=JOB_SECONDS,
        # The broker gives to another worker what this one cannot confirm any more.
        worker_cancel_long_running_tasks_on_connection_loss=True,
        worker_prefetch_multiplier=1,
        worker_concurrency=settings.worker_concurrency,
        worker_consumer="probe.consumer:Consumer",
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        # beat
        beat_scheduler="probe.schedule:Scheduler",
        beat_schedule_filename=settings.beat_schedule,
        beat_schedule={TICK: {"task": TICK, "schedule": EveryPeriod(settings.tick_seconds)}},
        beat_max_loop_interval=1,
        beat_sync_every=1,
    )
    return app
