"""Random's row.

Source: the plan modifiers of terraform-provider-random 3's resource_password.go (`RequiresReplace`), which
the bridge does not pass on into pulumi-random's schema.
"""

from __future__ import annotations

from collections.abc import Mapping

import pulumi_random

from sim import outputs
from sim.types.row import ResourceType, words

RANDOM_PASSWORD = ResourceType(
    sdk=lambda: pulumi_random.RandomPasswordArgs,
    # The real provider lets two changes pass: keepers that are all null, overrideSpecial from "" to none.
    replace_on=words("""
        keepers length lower minLower minNumeric minSpecial minUpper number numeric overrideSpecial special
        upper
    """),
    computed_inputs=words("number"),
    computed=words("bcryptHash result"),
    secret=words("bcryptHash result"),
    defaults={
        "lower": True,
        "minLower": 0,
        "minNumeric": 0,
        "minSpecial": 0,
        "minUpper": 0,
        "numeric": True,
        "special": True,
        "upper": True,
    },
    compute=outputs.random_password,
    identify=lambda _: "none",  # the real one's id as well: a password has none
)

TYPES: Mapping[str, ResourceType] = {"random:index/randomPassword:RandomPassword": RANDOM_PASSWORD}
