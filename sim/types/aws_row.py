"""What the rows of AWS have in common: the region, the tags, and names."""

from __future__ import annotations

from collections.abc import Callable

from sim.aws_outputs import region_of
from sim.outputs import simulated_id
from sim.types.row import Autoname, ResourceType, never, when_chosen
from sim.values import Properties, text

NONE: frozenset[str] = frozenset()
REGION = frozenset({"region"})
ALL_TAGS = frozenset({"tagsAll"})


def nothing(_identity: str, _around: Properties) -> Properties:
    return {}


def name(around: Properties) -> str:
    return text(around, "name")


def row(
    sdk: Callable[[], type],
    *,
    replace_on: frozenset[str] = NONE,
    replace_on_presence: frozenset[str] = NONE,
    computed_inputs: frozenset[str] = NONE,
    computed: frozenset[str] = NONE,
    secret: frozenset[str] = NONE,
    sets: frozenset[str] = NONE,
    refused: frozenset[str] = NONE,
    autoname: Autoname | None = None,
    everywhere: bool = False,
    tagged: bool = False,
    identify: Callable[[Properties], str] = simulated_id,
    compute: Callable[[str, Properties], Properties] = nothing,
) -> ResourceType:
    """`everywhere` for what is of no region; all else moves to another only by replacement. `tagged` has also the
    provider's tags."""

    def with_place_and_name(identity: str, around: Properties) -> Properties:
        made: Properties = {} if everywhere else {"region": region_of(around)}
        if autoname:
            made[autoname.property] = around.get(autoname.property)
        return made | compute(identity, around)

    return ResourceType(
        sdk=sdk,
        replace_on=replace_on if everywhere else replace_on | REGION,
        replace_on_presence=replace_on_presence,
        computed_inputs=computed_inputs if everywhere else computed_inputs | REGION,
        computed=computed | ALL_TAGS if tagged else computed,
        mirrors={"tagsAll": "tags"} if tagged else {},
        secret=secret,
        sets=sets,
        refused=refused,
        autoname=autoname,
        deletes_first=when_chosen(autoname.property) if autoname else never,
        compute=with_place_and_name,
        identify=identify,
    )
