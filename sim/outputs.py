"""The values that a provider computes. All are visibly simulated; what an image would say is left empty."""

from __future__ import annotations

import secrets
import string
from hashlib import sha256
from uuid import uuid4

from sim.docker_engine import SIMULATED_SUBNET
from sim.values import Json, Properties, objects, plain, text
from sim.world import Refusal


def simulated_id(_inputs: Properties) -> str:
    return f"simulated-{uuid4().hex[:16]}"


def container(identity: str, given: Properties) -> Properties:
    return {
        "bridge": "",
        "command": [],
        "containerLogs": "",
        "entrypoints": [],
        "envs": [],
        "exitCode": 0,
        "hostname": identity,
        "init": False,
        "ipcMode": "private",
        "labels": [],
        "logDriver": "json-file",
        "networkDatas": [_network_data(network) for network in objects(given, "networksAdvanced")],
        "platform": "linux",
        "runtime": "runc",
        "securityOpts": [],
        "shmSize": 64,
        "stopSignal": "",
        "stopTimeout": 0,
    }


def _network_data(network: Properties) -> Json:
    return {
        "networkName": network.get("name"),
        "ipAddress": text(network, "ipv4Address") or "192.0.2.2",
        "ipPrefixLength": 24,
        "gateway": "192.0.2.1",
        "globalIpv6Address": text(network, "ipv6Address"),
        "globalIpv6PrefixLength": 0,
        "ipv6Gateway": "",
        "macAddress": "",
    }


def network(_identity: str, _given: Properties) -> Properties:
    return {
        "driver": "bridge",
        "internal": False,
        "ipamConfigs": [{"subnet": SIMULATED_SUBNET, "gateway": "192.0.2.1"}],
        "options": {},
        "scope": "local",
    }


def volume(_identity: str, given: Properties) -> Properties:
    return {"driver": "local", "mountpoint": f"/simulated/{text(given, 'name')}"}


def remote_image(_identity: str, given: Properties) -> Properties:
    name = text(given, "name")
    # 24 leading zeros: the shape of a digest, and no digest of any image.
    digest = f"sha256:{'0' * 24}{sha256(name.encode()).hexdigest()[:40]}"
    repository, _, tag = name.rpartition(":")
    untagged = repository if repository and "/" not in tag else name
    return {
        "imageId": name if name.startswith("sha256:") else digest,
        "repoDigest": name if "@" in name else f"{untagged}@{digest}",
    }


def random_password(_identity: str, given: Properties) -> Properties:
    """A really random password after the real provider's rules; the hash has the right shape only."""
    return {
        "bcryptHash": f"$2a$10$simulated{secrets.token_hex(22)}",
        "number": given.get("numeric"),
        "result": _draw(given),
    }


def _draw(given: Properties) -> str:
    alphabets = {
        "Upper": string.ascii_uppercase,
        "Lower": string.ascii_lowercase,
        "Numeric": string.digits,
        "Special": text(given, "overrideSpecial") or "!@#$%&*()-_=+[]{}<>:?",
    }
    everything = "".join(letters for name, letters in alphabets.items() if plain(given.get(name.lower())))
    length = _count(given, "length")
    minimum = sum(_count(given, f"min{name}") for name in alphabets)
    if not everything:
        raise Refusal("RandomPassword: one of upper, lower, numeric and special must be true")
    if length < max(1, minimum):
        raise Refusal(
            f"RandomPassword: length is {length}, but must be at least 1 and the sum of the minima, {minimum}"
        )
    drawn = [
        secrets.choice(letters)
        for name, letters in alphabets.items()
        for _ in range(_count(given, f"min{name}"))
    ]
    drawn += [secrets.choice(everything) for _ in range(length - minimum)]
    secrets.SystemRandom().shuffle(drawn)
    return "".join(drawn)


def _count(given: Properties, name: str) -> int:
    value = plain(given.get(name))
    return int(value) if isinstance(value, (int, float)) else 0
