"""The county housing portal: a static front end, a FastAPI application, PostgreSQL and Redis.

`build:…` images are stand-ins from `images/`; a stack file names the real ones: `groundwork:apps: {api: {image: …}}`.
"""

from groundwork.catalog.postgres import Postgres
from groundwork.catalog.redis import Redis
from groundwork.monitoring.objectives import Objectives
from groundwork.system import App, Route, System

SYSTEM = System(
    name="housing",
    services=(
        Postgres(database="housing"),
        Redis(eviction="allkeys-lru", durable=False),
    ),
    generated_secrets=("jwt_key",),
    # S2: more than 10 % errors, and P95 above 1 s.
    objectives=Objectives(error_percent=10.0, p95_seconds=1.0),
    apps=(
        App(name="web", image="build:web", port=8080, user="10101:10101", memory_mib=32, cpus=0.5),
        App(
            name="api",
            image="build:probe",
            port=8000,
            metrics_path="/metrics",
            uses=("postgres", "redis"),
            settings={
                "DATABASE_URL": "postgresql://{postgres.username}:{postgres.password}"
                "@{postgres.host}:{postgres.port}/{postgres.database}",
                "REDIS_URL": "redis://{redis.username}:{redis.password}@{redis.host}:{redis.port}/0",
                "JWT_SECRET_KEY": "{secret.jwt_key}",
                # Ends by itself before the platform ends it, five seconds later.
                "GRACE_SECONDS": "55",
            },
            release_command=("python", "-m", "probe.migrate"),
            grace_seconds=60,
            memory_mib=192,
        ),
    ),
    routes=(
        Route(path="/", app="web"),
        Route(path="/api/", app="api"),
        Route(path="/health/", app="api"),
        Route(path="/ws", app="api", websocket=True),
    ),
)
