"""What a change means while the system runs, told from two Deployments."""

from __future__ import annotations

import json
from typing import Any

from groundwork.deployment import Deployment
from groundwork.system import Route
from groundwork.views.compare import Change, difference, impact_of
from groundwork.views.document import document
from groundwork.views.review import LONGEST, MARKER, Comparison, Side, review
from tests.machines import FOUR_ROLES, existing, on_machines
from tests.sample import API, CERTIFICATE, SHOP, changed, locked, planned


def between(before: Deployment, after: Deployment) -> dict[str, Change]:
    """Changes by `kind name`; through JSON, as they come from another process."""
    sides = [json.loads(json.dumps(document(side))) for side in (before, after)]
    return {f"{change.kind} {change.name}": change for change in difference(sides[0], sides[1])}


def with_apps(values: dict[str, Any]) -> Deployment:
    return planned({"apps": {"api": values}})


def test_the_same_deployment_has_no_difference() -> None:
    assert between(planned(), planned()) == {}


def test_the_document_is_the_same_each_time_and_holds_no_secret_values() -> None:
    first, second = (json.dumps(document(planned({"secret_jwt_key": "hunter2hunter2"}))) for _ in range(2))
    assert first == second
    assert "hunter2" not in first
    assert "{system.jwt_key}" in first


def test_a_new_image_is_a_release_beside_the_old_one() -> None:
    lock = locked("example/api:1", "1"), locked("example/api:1", "2")
    changes = between(planned(lock=lock[0]), planned(lock=lock[1]))
    api = changes["workload api"]
    assert api.effect == "new release beside the old one, no interruption"
    assert api.facts == ("image `example/api:1` (111111111111) → 222222222222",)
    assert changes["workload api-release"].effect == "runs once more"
    gateway = changes["workload gateway"]
    assert gateway.effect == "configuration exchanged without a restart"
    assert gateway.facts == ("routes lead to the new releases",)
    assert gateway.texts == ()
    assert set(changes) == {"workload api", "workload api-release", "workload gateway"}
    assert impact_of(list(changes.values())) == "switch"


def test_memory_of_an_app_is_told_in_mib() -> None:
    api = between(planned(), with_apps({"memory_mib": 256}))["workload api"]
    assert api.facts == ("memory 200 → 256 MiB",)
    assert api.impact == "switch"


def test_a_setting_is_told_by_its_name_alone() -> None:
    changes = between(planned(), with_apps({"settings": {"LOG_LEVEL": "debug-4711", "EXTRA": "value-4711"}}))
    api = changes["workload api"]
    assert api.facts == ("setting added: `EXTRA`", "setting changed: `LOG_LEVEL`")
    assert "4711" not in repr(changes)


def test_replicas_come_and_go_without_a_release() -> None:
    more = between(planned(), with_apps({"replicas": 2}))["workload api"]
    assert (more.effect, more.impact) == ("further replicas start, the others stay", "switch")
    less = between(with_apps({"replicas": 2}), planned())["workload api"]
    assert less.effect == "replicas end after their grace period, the others stay"


def test_a_changed_database_restarts_it_and_shows_its_configuration() -> None:
    changes = between(planned(), planned({"services": {"postgres": {"memory_mib": 640}}}))
    postgres = changes["workload postgres"]
    assert (postgres.effect, postgres.impact) == (
        "restarts, a short interruption for its users",
        "interruption",
    )
    assert dict(postgres.texts)["postgresql.conf"].count("+shared_buffers = 160MB") == 1
    assert set(changes) == {"workload postgres"}


def test_a_new_route_is_shown_as_a_difference_of_the_routes() -> None:
    system = changed(SHOP, routes=(*SHOP.routes, Route(path="/ws", app="api", websocket=True)))
    changes = between(planned(), planned(system=system))
    gateway = changes["workload gateway"]
    assert set(changes) == {"workload gateway"}
    assert (gateway.effect, gateway.impact) == ("configuration exchanged without a restart", "switch")
    assert "+    location /ws {" in dict(gateway.texts)["routes.conf"]


def test_a_certificate_opens_a_port_and_is_not_printed() -> None:
    values = {"entry": {"certificate": CERTIFICATE}, "secret_tls_key": {"secure": "v1:abc"}}
    changes = between(planned(), planned(values))
    gateway = changes["workload gateway"]
    assert gateway.impact == "interruption"
    assert "published added: `127.0.0.1:8443 -> 8443`" in gateway.facts
    assert "BEGIN CERTIFICATE" not in repr(changes)
    assert changes["setting URL `system`"].facts == ("http://127.0.0.1:8080/ → https://127.0.0.1:8443/",)
    assert changes["secret system.tls_key"].effect == "groundwork:secret_tls_key"


def test_rotated_credentials_rotate_in_everything_that_holds_them() -> None:
    changes = between(planned(), planned({"services": {"postgres": {"credentials": 2}}}))
    assert "secret rotated: `postgres.password`" in changes["workload api"].facts
    assert changes["workload api"].impact == "switch"
    assert changes["workload postgres-retire"].action == "added"
    assert changes["secret postgres.password"].effect == "has another value; generated, kept in the state"
    assert "workload postgres" not in changes


def test_a_service_that_goes_leaves_its_data_or_takes_it_along() -> None:
    without = changed(
        SHOP,
        services=tuple(service for service in SHOP.services if service.name != "redis"),
        apps=(SHOP.apps[0], changed(API, uses=("postgres",), settings={})),
    )
    kept = between(planned(), planned(system=without))
    assert kept["volume redis-data"].effect == "kept on the machine"
    assert kept["volume redis-data"].impact == "none"
    assert kept["workload redis"].action == "removed"
    # What was said when the volume was made counts, not what is said when it goes.
    gone = between(planned({"keep_data": False}), planned(system=without))
    assert gone["volume redis-data"].impact == "data"
    assert impact_of(list(gone.values())) == "data"
    back = between(planned(system=without), planned())
    assert back["volume redis-data"].effect == "created, empty"
    assert back["network redis"].effect == "connects api, api-release, redis, redis-accounts"


def test_other_addresses_restart_even_what_is_released_beside_itself() -> None:
    changes = between(planned(), planned({"target": {"kind": "docker", "subnets": "10.96.0.0/16"}}))
    assert changes["workload api"].impact == "interruption"
    assert changes["workload postgres"].impact == "interruption"
    assert "subnet" in changes["network edge"].facts[0]


def compared(before: Deployment | None, after: Deployment | None, fault: str | None = None) -> Comparison:
    sides = [Side(document=document(side)) if side else Side() for side in (before, after)]
    return Comparison(stack="shop/test", before=sides[0], after=Side(fault=fault) if fault else sides[1])


def test_the_comment_says_plainly_that_nothing_changes() -> None:
    text = review([compared(planned(), planned())])
    assert text.startswith(f"{MARKER}\n")
    assert "Nothing changes in `shop/test`." in text
    assert "|" not in text


def test_the_comment_begins_with_a_table_and_folds_the_rest() -> None:
    text = review([compared(planned(), with_apps({"memory_mib": 256})), compared(planned(), planned())])
    rows = [line for line in text.splitlines() if line.startswith("| `shop/test`")]
    assert "api: new release beside the old one, no interruption" in rows[0]
    before, after = planned().memory_mib, with_apps({"memory_mib": 256}).memory_mib
    # Two releases side by side and the release job, 56 MiB more each.
    assert after == before + 3 * 56
    assert f"{before:,} → {after:,} MiB" in rows[0]
    assert "nothing changes" in rows[1]
    assert text.index("<details>") > text.index(rows[1])
    assert text.count("<details>") == text.count("</details>") > 0


def test_a_broken_stack_file_shows_its_faults_unfolded() -> None:
    fault = "Pulumi.test.yaml has 1 fault; nothing was changed.\n  1. groundwork:timezone: there is no key"
    text = review([compared(planned(), None, fault)])
    assert "**can't be deployed: its stack file or system is broken**" in text
    assert fault in text
    assert "<details>" not in text


def test_new_and_removed_stacks_are_told_apart() -> None:
    assert "new stack: 8 containers and jobs" in review([compared(None, planned())])
    assert "its stack file goes" in review([compared(planned(), None)])


def test_a_text_of_the_change_cannot_leave_its_cell_or_its_fence() -> None:
    fault = "a fault\n````\n<b>bold</b>"
    lines = review([compared(planned(), None, fault)]).splitlines()
    assert lines.count("`````") == 1
    assert "`````text" in lines


def test_a_comment_beyond_what_github_takes_leaves_differences_out() -> None:
    routes = tuple(Route(path=f"/{'x' * 200}{number}/", app="api") for number in range(60))
    many = [compared(planned(), planned(system=changed(SHOP, routes=(*SHOP.routes, *routes)))) for _ in range(20)]
    text = review(many)
    assert len(text) <= LONGEST
    assert "too long for a comment" in text


def test_a_further_app_machine_takes_its_share_and_nothing_restarts() -> None:
    changes = between(on_machines(counts=FOUR_ROLES | {"app": 1}), on_machines(counts=FOUR_ROLES))
    added = changes["machine app-2"]
    assert (added.action, added.effect, added.facts) == ("added", "runs web, api, gateway", ("app, 10.9.0.12",))
    assert changes["machine data-1"].facts[0].startswith("opening added: ")
    api = changes["workload api"]
    assert (api.effect, api.impact) == ("starts on app-2 too", "switch")
    assert api.facts == ("machine app-1 → app-1, app-2", "replicas 1 → 2")
    assert impact_of(list(changes.values())) == "switch"


def test_a_service_on_another_machine_leaves_its_data_behind() -> None:
    changes = between(on_machines(counts={"all": 1}), on_machines())
    postgres = changes["workload postgres"]
    assert postgres.effect == "starts on data-1 with empty volumes; its data stays on all-1"
    assert postgres.impact == "data"
    assert postgres.facts[0] == "machine all-1 → data-1"
    assert changes["machine all-1"].action == "removed"


def test_from_one_engine_to_machines_everything_starts_anew() -> None:
    changes = between(planned(), on_machines(counts={"all": 1}))
    assert changes["workload postgres"].effect.endswith("its data stays on the one engine")
    web = changes["workload web"]
    assert (web.effect, web.impact) == ("stops on the one engine and starts on all-1", "interruption")


def test_a_document_from_before_there_were_machines_is_understood() -> None:
    old, new = document(planned()), document(planned({"apps": {"web": {"memory_mib": 64}}}))
    del old["machines"]
    assert {change.name for change in difference(old, new)} == {"web", "gateway"}


def test_more_memory_of_a_machine_is_told() -> None:
    changes = between(on_machines(), on_machines(machines=existing(8192, **FOUR_ROLES)))
    assert changes["machine data-1"].facts == ("memory in MiB 4096 → 8192",)
    assert not [name for name in changes if name.startswith("workload")]
