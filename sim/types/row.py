"""One row of the table of what is simulated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from sim import outputs
from sim.values import Json, Properties


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def never(_identity: str, _inputs: Properties) -> bool:
    return False


def always(_identity: str, _inputs: Properties) -> bool:
    return True


def when_chosen(name: str) -> Callable[[str, Properties], bool]:
    """A name that somebody chose can exist only once, so the bridge deletes before it creates again."""

    def chosen(_identity: str, inputs: Properties) -> bool:
        defaults = inputs.get("__defaults")
        return isinstance(defaults, list) and name not in defaults

    return chosen


when_its_name_is_chosen = when_chosen("name")


@dataclass(frozen=True, kw_only=True)
class Autoname:
    """A property that becomes the logical name and seven random digits where it is not given."""

    property: str
    prefix: str = ""
    longest: int = 255
    """In characters: a longer one is refused before anything is made."""
    lowered: bool = False


NAMED = Autoname(property="name")


@dataclass(frozen=True, kw_only=True)
class ResourceType:
    """How the real provider treats one resource type. Nested properties are dotted paths without indices."""

    sdk: Callable[[], type]
    """Gives the Python SDK's Args class: every property name, and which are required. AWS's take a second to import,
    so that each is got only when something asks about its type."""
    replace_on: frozenset[str]
    """Properties whose change replaces the resource; all the others are updated in place."""
    replace_on_presence: frozenset[str] = frozenset()
    """Properties that replace the resource when they come or go, and not when they change."""
    in_place_within: frozenset[str] = frozenset()
    """Nested properties of `replace_on` that are updated in place all the same."""
    computed_inputs: frozenset[str] = frozenset()
    """Inputs that the provider fills in when not given: unknown in a preview, and kept when taken away."""
    removal_ignored: frozenset[str] = frozenset()
    """Other inputs whose removal the provider does not see as a change."""
    computed: frozenset[str] = frozenset()
    """Outputs that are no inputs."""
    mirrors: Mapping[str, str] = field(default_factory=dict)
    """Of these the ones that say what an input says."""
    moved_by_updates: frozenset[str] = frozenset()
    """Of these the ones that any update may change: unknown in its preview."""
    secret: frozenset[str] = frozenset()
    """Top-level properties that are always secret."""
    sets: frozenset[str] = frozenset()
    """Lists whose order means nothing."""
    refused: frozenset[str] = frozenset()
    """Inputs that the simulation does not cover, and says so."""
    normalize: Callable[[Properties], Properties] = dict
    """Inputs as they are given ─► as the provider keeps them."""
    defaults: Mapping[str, Json] = field(default_factory=dict)
    autoname: Autoname | None = None
    needed: frozenset[str] = frozenset()
    """Inputs that the simulation asks for beside those that the SDK does."""
    immutable: Mapping[str, str | None] = field(default_factory=dict)
    """What the API behind the provider refuses to change, and its words for it; None for exceptions within.
    The longest path counts."""
    deletes_first: Callable[[str, Properties], bool] = never
    """id and new inputs ─► whether a replacement begins with the end of the old one."""
    compute: Callable[[str, Properties], Properties]
    """id and inputs ─► the computed and computed input properties; what is given wins. May raise Refusal."""
    identify: Callable[[Properties], str] = outputs.simulated_id
    """inputs ─► id."""

    @cached_property
    def args(self) -> type:
        return self.sdk()
