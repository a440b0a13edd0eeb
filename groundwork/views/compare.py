"""What changes from one Deployment to the next, in people's words, and what that means while the system runs.

Both sides come as data (`groundwork.views.document`), since each is what its own checkout's code says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import unified_diff
from typing import Any, Literal

from .document import Data, short

Impact = Literal["none", "switch", "interruption", "data"]
"""Nobody notices; new takes over from old without a lost request; users wait or are cut off; data goes."""
ORDER: tuple[Impact, ...] = ("none", "switch", "interruption", "data")


@dataclass(frozen=True, kw_only=True)
class Change:
    """One thing that differs: `facts` say what, `effect` what happens while it runs, `texts` are diffs."""

    kind: Literal["workload", "network", "secret", "volume", "setting", "machine"]
    name: str
    action: Literal["added", "removed", "changed"]
    effect: str
    impact: Impact = "none"
    facts: tuple[str, ...] = ()
    texts: tuple[tuple[str, str], ...] = ()


def difference(before: Data, after: Data) -> list[Change]:
    """Every change between two documents: settings and machines first, then workloads, networks, data and secrets."""
    moved = {
        name
        for name, network in after["networks"].items()
        if name in before["networks"] and before["networks"][name]["subnet"] != network["subnet"]
    }
    return [
        *setting_changes(before, after),
        *machine_changes(before, after),
        *workload_changes(before, after, moved),
        *network_changes(before, after),
        *volume_changes(before, after),
        *secret_changes(before, after),
    ]


def setting_changes(before: Data, after: Data) -> Iterator[Change]:
    words = {"system": "system", "time_zone": "time zone", "keep_data": "keep_data"}
    for key, word in words.items():
        if before[key] != after[key]:
            effect = "from the next `up` on" if key == "keep_data" else "see the containers below"
            yield Change(
                kind="setting",
                name=word,
                action="changed",
                effect=effect,
                facts=(arrow(before[key], after[key]),),
            )
    for name in sorted({*before["urls"], *after["urls"]}):
        old, new = before["urls"].get(name), after["urls"].get(name)
        if old != new:
            yield Change(
                kind="setting", name=f"URL `{name}`", action="changed", impact="interruption",
                effect="the old address answers no longer", facts=(arrow(old, new),),
            )  # fmt: skip


def workload_changes(before: Data, after: Data, moved: set[str]) -> Iterator[Change]:
    olds, news = before["workloads"], after["workloads"]
    for name in [*olds, *(name for name in news if name not in olds)]:
        if name not in news:
            yield removed(name, olds[name])
        elif name not in olds:
            yield added(name, news[name])
        else:
            joined = moved & {network for network, data in after["networks"].items() if name in data["members"]}
            aliases = {said["alias"]: f"{who}-<release>" for side in (olds, news) for who, said in side.items()}
            facts = (*facts_of(olds[name], news[name]), *exchanged(olds[name], news[name], aliases))
            texts = tuple(text_changes(olds[name], news[name], aliases))
            effect, impact = effect_of(olds[name], news[name], sorted(joined))
            places = tuple(sorted(places_of(side, name)) for side in (before, after))
            if places[0] != places[1]:
                facts = (f"machine {arrow(', '.join(places[0]), ', '.join(places[1]))}", *facts)
                moving = move_of(news[name], set(places[0]), set(places[1]))
                effect, impact = moving if ORDER.index(moving[1]) >= ORDER.index(impact) else (effect, impact)
            if effect or facts or texts:
                yield Change(
                    kind="workload", name=name, action="changed", impact=impact,
                    effect=effect or "nothing restarts", facts=facts, texts=texts,
                )  # fmt: skip


def machine_changes(before: Data, after: Data) -> Iterator[Change]:
    olds, news = before.get("machines", {}), after.get("machines", {})
    for name in [*olds, *(name for name in news if name not in olds)]:
        if name not in olds:
            runs = ", ".join(news[name]["workloads"]) or "nothing yet"
            where = f"{news[name]['role']}, {news[name]['address']}"
            yield Change(kind="machine", name=name, action="added", effect=f"runs {runs}", facts=(where,))
        elif name not in news:
            effect = "nothing of the stack runs there any more"
            yield Change(kind="machine", name=name, action="removed", effect=effect, impact="interruption")
        else:
            words = {"address": "address", "zone": "zone", "memory_mib": "memory in MiB"}
            facts = [
                f"{word} {arrow(olds[name][key], news[name][key])}"
                for key, word in words.items()
                if olds[name][key] != news[name][key]
            ]
            opened = (dict.fromkeys(side[name]["openings"]) for side in (olds, news))
            facts += named("opening", *opened)
            if facts:
                yield Change(
                    kind="machine", name=name, action="changed", effect="see the containers below", facts=tuple(facts)
                )


ONE_ENGINE = "the one engine"
"""Where a workload is that is on no machine of the stack file."""


def places_of(side: Data, name: str) -> set[str]:
    machines = side.get("machines", {})
    return {machine for machine, said in machines.items() if name in said["workloads"]} or {ONE_ENGINE}


def move_of(new: Data, olds: set[str], news: set[str]) -> tuple[str, Impact]:
    """What it means that a workload is on other machines than before."""
    came, went = ", ".join(sorted(news - olds)), ", ".join(sorted(olds - news))
    if new["role"] == "job":
        return f"runs on {', '.join(sorted(news))}", "none"
    if new["volumes"] and new["role"] != "gateway":
        return f"starts on {came} with empty volumes; its data stays on {went}", "data"
    if came and went:
        return f"stops on {went} and starts on {came}", "interruption"
    return (f"starts on {came} too", "switch") if came else (f"ends on {went}, the others stay", "switch")


def added(name: str, new: Data) -> Change:
    effects = {"job": "runs once, to its end", "gateway": "starts and listens"}
    effect = effects.get(new["role"], "starts beside the others")
    return Change(
        kind="workload",
        name=name,
        action="added",
        effect=effect,
        facts=(image_text(new), f"{new['memory_mib']} MiB"),
    )


def removed(name: str, old: Data) -> Change:
    if old["role"] == "job":
        return Change(kind="workload", name=name, action="removed", effect="runs no more")
    effect = f"stops, after up to {old['grace_seconds']} s for what is under way"
    return Change(
        kind="workload",
        name=name,
        action="removed",
        effect=effect,
        impact="interruption",
        facts=(image_text(old),),
    )


def effect_of(old: Data, new: Data, moved: list[str]) -> tuple[str, Impact]:
    """What the change of one workload means at run time; an empty text where nothing does."""
    fresh = old["release"] != new["release"]
    if moved and not (fresh and new["strategy"] == "surge" and old["strategy"] == "surge"):
        return (
            f"restarts, a short interruption: its network {', '.join(moved)} gets other addresses",
            "interruption",
        )
    if new["role"] == "job":
        return ("runs once more", "none") if fresh else ("", "none")
    if moved:
        return "new release with a short interruption: its network gets other addresses", "interruption"
    if fresh and new["role"] == "gateway":
        return "restarts, a short interruption for everybody", "interruption"
    if fresh and new["strategy"] == "surge" == old["strategy"]:
        return "new release beside the old one, no interruption", "switch"
    if fresh:
        return "restarts, a short interruption for its users", "interruption"
    if reload_version(old) != reload_version(new):
        return "configuration exchanged without a restart", "switch"
    if old["replicas"] != new["replicas"]:
        more = new["replicas"] > old["replicas"]
        what = "further replicas start" if more else "replicas end after their grace period"
        return f"{what}, the others stay", "switch"
    return "", "none"


PLAIN = {
    "strategy": "strategy", "replicas": "replicas", "cpus": "CPUs", "user": "user", "port": "port",
    "grace_seconds": "grace period in s", "timeout_seconds": "time to become healthy in s", "role": "role",
}  # fmt: skip
LISTS = {"uses": "uses", "egress": "egress", "published": "published", "after": "starts after"}


def facts_of(old: Data, new: Data) -> Iterator[str]:
    if old["image"] != new["image"]:
        same = old["image"]["reference"] == new["image"]["reference"]
        yield f"image {image_text(old)} → {digest_text(new) if same else image_text(new)}"
    if old["memory_mib"] != new["memory_mib"]:
        yield f"memory {old['memory_mib']} → {new['memory_mib']} MiB"
    for key, word in PLAIN.items():
        if old[key] != new[key]:
            yield f"{word} {arrow(old[key], new[key])}"
    for key, word in LISTS.items():
        yield from named(word, dict.fromkeys(old[key]), dict.fromkeys(new[key]))
    if old["command"] != new["command"]:
        yield "command changed"
    yield from named("setting", old["env"], new["env"])
    yield from named("volume", old["volumes"], new["volumes"])
    yield from named("tmpfs", old["tmpfs_mib"], new["tmpfs_mib"])
    yield from named("file", contents(old), contents(new))
    if old["shm_mib"] != new["shm_mib"]:
        yield f"shared memory {old['shm_mib']} → {new['shm_mib']} MiB"
    probes = {**(old["probes"] or {})}, {**(new["probes"] or {})}
    for key in sorted({*probes[0], *probes[1]}):
        if probes[0].get(key) != probes[1].get(key):
            yield f"probe {key} {arrow(probes[0].get(key), probes[1].get(key))}"
    rotated = generations(old), generations(new)
    yield from (text.replace("changed", "rotated") for text in named("secret", *rotated))


def named(word: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """Names that came, went, or mean something else now; never what they mean."""
    for action, names in (
        ("added", new.keys() - old.keys()),
        ("removed", old.keys() - new.keys()),
        ("changed", {name for name in old.keys() & new.keys() if old[name] != new[name]}),
    ):
        if names:
            yield f"{word} {action}: {', '.join(f'`{name}`' for name in sorted(names))}"


def contents(workload: Data) -> dict[str, str]:
    return {name: file["text"] for name, file in workload["files"].items()}


def generations(workload: Data) -> dict[str, str]:
    return dict(ref.rsplit("#", 1) for ref in workload["secrets"])


def exchanged(old: Data, new: Data, aliases: Mapping[str, str]) -> Iterator[str]:
    """Which of the files differ that change without a restart."""
    before, after = reloaded(old, aliases), reloaded(new, aliases)
    yield from named("configuration", before, after)
    if before == after and reload_version(old) != reload_version(new):
        yield "routes lead to the new releases"


def text_changes(old: Data, new: Data, aliases: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Differences of files as unified diffs. A release's own name in the routes is no difference."""
    commands = {"command": "\n".join(old["command"])}, {"command": "\n".join(new["command"])}
    for before, after in (
        commands,
        (contents(old), contents(new)),
        (reloaded(old, aliases), reloaded(new, aliases)),
    ):
        for name in sorted({*before, *after}):
            lines = [side.get(name, "").splitlines() for side in (before, after)]
            diff = "\n".join(unified_diff(lines[0], lines[1], f"before/{name}", f"after/{name}", lineterm="", n=2))
            if diff and not name.endswith((".crt", ".key")):
                yield name, diff


def reloaded(workload: Data, aliases: Mapping[str, str]) -> dict[str, str]:
    """The texts that are exchanged while the workload runs, without names that change with every release."""
    if workload["reload"] is None:
        return {}
    texts = {name: file["text"] for name, file in workload["reload"]["files"].items()}
    for alias, name in aliases.items():
        texts = {file: text.replace(f" {alias}:", f" {name}:") for file, text in texts.items()}
    return {file: text.replace(reload_version(workload), "<version>") for file, text in texts.items()}


def reload_version(workload: Data) -> str:
    return str((workload["reload"] or {"version": ""})["version"])


def network_changes(before: Data, after: Data) -> Iterator[Change]:
    olds, news = before["networks"], after["networks"]
    for name in sorted({*olds, *news}):
        old, new = olds.get(name), news.get(name)
        if old is None:
            members = ", ".join(new["members"])
            yield Change(
                kind="network",
                name=name,
                action="added",
                effect=f"connects {members}",
                facts=(new["subnet"],),
            )
        elif new is None:
            yield Change(kind="network", name=name, action="removed", effect="its members can't meet any more")
        elif old != new:
            facts = [*named("member", dict.fromkeys(old["members"]), dict.fromkeys(new["members"]))]
            if old["subnet"] != new["subnet"]:
                facts.append(f"subnet {arrow(old['subnet'], new['subnet'])}")
            if old["internal"] != new["internal"]:
                facts.append("way out " + ("closed" if new["internal"] else "opened"))
            whole = old["subnet"] != new["subnet"] or old["internal"] != new["internal"]
            yield Change(
                kind="network", name=name, action="changed", facts=tuple(facts),
                effect="is made anew, and its members restart" if whole else "other members stay as they are",
                impact="interruption" if whole else "none",
            )  # fmt: skip


def volume_changes(before: Data, after: Data) -> Iterator[Change]:
    olds, news = volumes(before), volumes(after)
    for name in sorted(news - olds):
        yield Change(kind="volume", name=name, action="added", effect="created, empty")
    for name in sorted(olds - news):
        # The engine goes by what it was told when the volume was made: the side before decides.
        kept = before["keep_data"]
        effect = "kept on the machine" if kept else "removed with all its data (keep_data is false)"
        yield Change(kind="volume", name=name, action="removed", effect=effect, impact="none" if kept else "data")


def volumes(side: Data) -> set[str]:
    """Names of the volumes that hold a service's data."""
    services = [workload for workload in side["workloads"].values() if workload["role"] == "service"]
    return {name for workload in services for name in workload["volumes"]}


def secret_changes(before: Data, after: Data) -> Iterator[Change]:
    olds, news = before["secrets"], after["secrets"]
    for name in sorted({*olds, *news}):
        old, new = olds.get(name), news.get(name)
        if old is None:
            yield Change(kind="secret", name=name, action="added", effect=new["source"])
        elif new is None:
            yield Change(kind="secret", name=name, action="removed", effect="nobody is given it any more")
        elif old != new:
            yield Change(kind="secret", name=name, action="changed", effect=f"has another value; {new['source']}")


def image_text(workload: Data) -> str:
    return f"`{workload['image']['reference']}` ({digest_text(workload)})"


def digest_text(workload: Data) -> str:
    image = workload["image"]
    return "no digest yet: `make lock`" if image["origin"] == "simulated" else short(image["digest"])


def arrow(old: object, new: object) -> str:
    return f"{'—' if old is None else old} → {'—' if new is None else new}"


def impact_of(changes: list[Change]) -> Impact:
    """The heaviest impact among `changes`."""
    return max((change.impact for change in changes), key=ORDER.index, default="none")
