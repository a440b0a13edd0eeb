"""The digital human platform: a FastAPI application with its Celery worker and beat, MySQL, Redis and RabbitMQ.

`build:…` images are stand-ins from `images/`; a stack file names the real one, once for all three processes:
`groundwork:apps: {api: {image: …}}`.
"""

from groundwork.catalog.mysql import Mysql
from groundwork.catalog.rabbitmq import RabbitMq
from groundwork.catalog.redis import Redis
from groundwork.monitoring.objectives import Objectives
from groundwork.system import App, AppVolume, Route, System

SERVICES = ("mysql", "cache", "results", "rabbitmq")
SETTINGS = {
    "DATABASE_URL": "mysql://{mysql.username}:{mysql.password}@{mysql.host}:{mysql.port}/{mysql.database}",
    "REDIS_URL": "redis://{cache.username}:{cache.password}@{cache.host}:{cache.port}/0",
    "CELERY_BROKER_URL": "amqp://{rabbitmq.username}:{rabbitmq.password}@{rabbitmq.host}:{rabbitmq.port}"
    "/{rabbitmq.vhost}",
    "CELERY_RESULT_BACKEND": "redis://{results.username}:{results.password}@{results.host}:{results.port}/0",
    "JWT_SECRET_KEY": "{secret.jwt_key}",
    # Ends by itself before the platform ends it, five seconds later.
    "GRACE_SECONDS": "55",
}
PROBES = {
    # The processes write there until when they are well: no probe starts Python.
    "live_command": 'read -r until < /tmp/live && [ "$until" -gt "$(date +%s)" ]',
    "ready_command": 'read -r until < /tmp/ready && [ "$until" -gt "$(date +%s)" ]',
}

SYSTEM = System(
    name="mindpal",
    services=(
        Mysql(database="ai_caller_pro"),
        # What is cached may go when memory is full; what a job returned may not.
        Redis(name="cache", eviction="allkeys-lru", durable=False),
        Redis(name="results", eviction="noeviction"),
        RabbitMq(vhost="mindpal"),
    ),
    generated_secrets=("jwt_key",),
    # S1: P95 below 0.2 s is promised and 1 s is alarmed, fewer than 1 % errors, 400 of 500 connections.
    objectives=Objectives(latency_seconds=0.2, p95_seconds=1.0, error_percent=1.0, connections_percent=80.0),
    apps=(
        App(
            name="api",
            image="build:probe",
            port=8000,
            metrics_path="/metrics",
            uses=SERVICES,
            settings=SETTINGS,
            release_command=("python", "-m", "probe.migrate"),
            grace_seconds=60,
            memory_mib=256,
        ),
        App(
            name="worker",
            image_of="api",
            command=("python", "-m", "probe.worker"),
            uses=SERVICES,
            settings=SETTINGS,
            grace_seconds=60,
            memory_mib=384,
            **PROBES,
        ),
        App(
            name="beat",
            image_of="api",
            command=("python", "-m", "probe.beat"),
            singleton=True,
            volumes=(AppVolume(name="schedule", path="/data"),),
            uses=("rabbitmq",),
            settings={"CELERY_BROKER_URL": SETTINGS["CELERY_BROKER_URL"]},
            grace_seconds=10,
            memory_mib=128,
            cpus=0.25,
            **PROBES,
        ),
    ),
    routes=(
        Route(path="/api/", app="api"),
        Route(path="/health/", app="api"),
        Route(path="/ws", app="api", websocket=True),
    ),
)
