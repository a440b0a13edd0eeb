"""The shop: a static front end, an API and a worker that sends mail, on PostgreSQL and Redis."""

from groundwork.catalog.postgres import Postgres
from groundwork.catalog.redis import Redis
from groundwork.system import App, Route, System

DATABASE_URL = (
    "postgresql://{postgres.username}:{postgres.password}@{postgres.host}:{postgres.port}/{postgres.database}"
)
QUEUE_URL = "redis://{redis.username}:{redis.password}@{redis.host}:{redis.port}/0"

SYSTEM = System(
    name="shop",
    services=(Postgres(database="shop"), Redis()),
    generated_secrets=("session_key",),
    required_secrets=("smtp_password",),
    apps=(
        App(name="web", image="build:web", port=8080, user="101:101", memory_mib=32),
        App(
            name="api",
            image="build:probe",
            port=8000,
            uses=("postgres", "redis"),
            settings={"DATABASE_URL": DATABASE_URL, "QUEUE_URL": QUEUE_URL, "SESSION_KEY": "{secret.session_key}"},
            release_command=("python", "-m", "probe.migrate"),
            memory_mib=192,
        ),
        App(
            name="mailer",
            image="build:probe",
            port=8000,
            uses=("redis",),
            settings={"QUEUE_URL": QUEUE_URL, "SMTP_PASSWORD": "{secret.smtp_password}"},
            egress=("mail.example.com:587",),
            memory_mib=128,
        ),
    ),
    routes=(
        Route(path="/", app="web"),
        Route(path="/api/", app="api", timeout_seconds=30),
        Route(path="/ws", app="api", websocket=True),
    ),
)
