"""`mindpal`, a static front end, and an app that uses a cache and goes outside: every kind of connection that a system
can have."""

from groundwork.system import App, Route, System
from systems.housing.system import SYSTEM as HOUSING
from systems.mindpal.system import SETTINGS
from systems.mindpal.system import SYSTEM as MINDPAL

WEB = next(app for app in HOUSING.apps if app.name == "web")
MAILER = App(
    name="mailer",
    image="build:probe",
    port=8000,
    uses=("cache",),
    settings={"REDIS_URL": SETTINGS["REDIS_URL"]},
    egress=("mail.example.com:587",),
    memory_mib=192,
)

SYSTEM = System(
    name="isolation",
    services=MINDPAL.services,
    generated_secrets=MINDPAL.generated_secrets,
    apps=(*MINDPAL.apps, WEB, MAILER),
    routes=(Route(path="/", app="web"), *MINDPAL.routes),
)
