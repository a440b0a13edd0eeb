"""`housing` and an app that uses Redis and goes outside: every kind of connection that a system can have."""

from groundwork.system import App, System
from systems.housing.system import SYSTEM as HOUSING

MAILER = App(
    name="mailer",
    image="build:probe",
    port=8000,
    uses=("redis",),
    settings={"REDIS_URL": "redis://{redis.username}:{redis.password}@{redis.host}:{redis.port}/0"},
    egress=("mail.example.com:587",),
    memory_mib=192,
)

SYSTEM = System(
    name="isolation",
    services=HOUSING.services,
    generated_secrets=HOUSING.generated_secrets,
    apps=(*HOUSING.apps, MAILER),
    routes=HOUSING.routes,
)
