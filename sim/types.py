"""The one table of what is simulated. A new resource type is one row here.

Sources: the GetSchema answer and the Check, Diff and preview answers of the real pulumi-docker 5.1.0 plugin
(its flags are terraform-provider-docker's `ForceNew`), and the plan modifiers of terraform-provider-random
3's resource_password.go (`RequiresReplace`), which the bridge does not pass on into pulumi-random's schema.
`tests/e2e/test_sim_matches_plugins.py` compares every row with the plugin where there is one.

Two surprises of the real plugin are kept: a changed mount of an unchanged number of mounts, and a changed
healthcheck, init, tmpfs, cpuPeriod, cpuQuota or rm, are "updated" although the engine keeps the old
container. A program that wants them applied says `replace_on_changes`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pulumi_docker
import pulumi_random

from sim import outputs
from sim.values import Json, Properties


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


@dataclass(frozen=True, kw_only=True)
class ResourceType:
    """How the real provider treats one resource type. Nested properties are dotted paths without indices."""

    args: type
    """The Python SDK's Args class: every property name, and which are required."""
    replace_on: frozenset[str]
    """Top-level properties whose change replaces the resource; all the others are updated in place."""
    in_place_within: frozenset[str] = frozenset()
    """Nested properties of `replace_on` that are updated in place all the same."""
    computed_inputs: frozenset[str] = frozenset()
    """Inputs that the provider fills in when not given: unknown in a preview, and kept when taken away."""
    removal_ignored: frozenset[str] = frozenset()
    """Other inputs whose removal the provider does not see as a change."""
    computed: frozenset[str] = frozenset()
    """Outputs that are no inputs."""
    secret: frozenset[str] = frozenset()
    """Outputs that are always secret."""
    sets: frozenset[str] = frozenset()
    """Lists whose order means nothing."""
    refused: frozenset[str] = frozenset()
    """Inputs that the simulation does not cover, and says so."""
    defaults: Mapping[str, Json] = field(default_factory=dict)
    autonamed: bool = False
    """Without a `name`, the logical name and seven random digits become it."""
    delete_before_replace: bool = False
    compute: Callable[[str, Properties], Properties]
    """id and inputs ─► the computed and computed input properties; what is given wins. May raise Refusal."""
    identify: Callable[[], str] = outputs.simulated_id


CONTAINER = ResourceType(
    args=pulumi_docker.ContainerArgs,
    replace_on=_words("""
        capabilities cgroupParent cgroupnsMode command cpus deviceRequests devices dns dnsOpts dnsSearches
        domainname entrypoints envs gpus groupAdds hostname hosts image ipcMode labels logDriver logOpts
        mounts name networkMode networksAdvanced pidMode platform ports privileged publishAllPorts readOnly
        runtime securityOpts shmSize stdinOpen stopSignal stopTimeout storageOpts sysctls tty ulimits
        uploads user usernsMode volumes workingDir
    """),
    in_place_within=_words("""
        mounts.target mounts.source mounts.type mounts.readOnly mounts.bindOptions
        mounts.tmpfsOptions.mode mounts.tmpfsOptions.sizeBytes
        mounts.volumeOptions.driverName mounts.volumeOptions.driverOptions mounts.volumeOptions.noCopy
    """),
    computed_inputs=_words("""
        command entrypoints envs healthcheck hostname init ipcMode labels logDriver platform runtime
        securityOpts shmSize stopSignal stopTimeout
    """),
    removal_ignored=_words("user workingDir"),
    computed=_words("bridge containerLogs exitCode networkDatas"),
    sets=_words("""
        capabilities.adds capabilities.drops deviceReadBps deviceReadIops deviceRequests
        deviceRequests.capabilities deviceRequests.deviceIds deviceWriteBps deviceWriteIops devices dns
        dnsOpts dnsSearches envs groupAdds hosts labels mounts mounts.volumeOptions.labels networksAdvanced
        networksAdvanced.aliases networksAdvanced.driverOpts networksAdvanced.linkLocalIps ports securityOpts
        ulimits uploads volumes
    """),
    defaults={
        "attach": False,
        "containerReadRefreshTimeoutMilliseconds": 15000,
        "deviceRequests.count": 0,
        "deviceRequests.driver": "cdi",
        "devices.permissions": "rwm",
        "healthcheck.interval": "0s",
        "healthcheck.retries": 0,
        "healthcheck.startInterval": "0s",
        "healthcheck.startPeriod": "0s",
        "healthcheck.timeout": "0s",
        "logs": False,
        "memoryReservation": 0,
        "mustRun": True,
        "networkMode": "bridge",
        "ports.ip": "0.0.0.0",
        "ports.protocol": "tcp",
        "readOnly": False,
        "removeVolumes": True,
        "restart": "no",
        "rm": False,
        "start": True,
        "stdinOpen": False,
        "tty": False,
        "uploads.executable": False,
        "wait": False,
        "waitTimeout": 60,
    },
    autonamed=True,
    delete_before_replace=True,
    compute=outputs.container,
)

NETWORK = ResourceType(
    args=pulumi_docker.NetworkArgs,
    replace_on=_words(
        "attachable driver ingress internal ipamConfigs ipamDriver ipamOptions ipv6 labels name options"
    ),
    computed_inputs=_words("driver internal ipamConfigs options"),
    computed=_words("scope"),
    sets=_words("ipamConfigs labels"),
    defaults={"ipamDriver": "default"},
    autonamed=True,
    compute=outputs.network,
)

VOLUME = ResourceType(
    args=pulumi_docker.VolumeArgs,
    replace_on=_words("driver driverOpts labels name"),
    computed_inputs=_words("driver"),
    computed=_words("mountpoint"),
    sets=_words("labels"),
    refused=_words("cluster"),
    autonamed=True,
    compute=outputs.volume,
)

REMOTE_IMAGE = ResourceType(
    args=pulumi_docker.RemoteImageArgs,
    replace_on=_words("name platform pullTriggers triggers"),
    computed=_words("imageId repoDigest"),
    sets=_words("pullTriggers"),
    refused=_words("build"),
    compute=outputs.remote_image,
)

RANDOM_PASSWORD = ResourceType(
    args=pulumi_random.RandomPasswordArgs,
    # The real provider lets two changes pass: keepers that are all null, overrideSpecial from "" to none.
    replace_on=_words("""
        keepers length lower minLower minNumeric minSpecial minUpper number numeric overrideSpecial special
        upper
    """),
    computed_inputs=_words("number"),
    computed=_words("bcryptHash result"),
    secret=_words("bcryptHash result"),
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
    identify=lambda: "none",  # the real one's id as well: a password has none
)

TYPES: Mapping[str, ResourceType] = {
    "docker:index/container:Container": CONTAINER,
    "docker:index/network:Network": NETWORK,
    "docker:index/remoteImage:RemoteImage": REMOTE_IMAGE,
    "docker:index/volume:Volume": VOLUME,
    "random:index/randomPassword:RandomPassword": RANDOM_PASSWORD,
}

PACKAGES = tuple(sorted({token.split(":")[0] for token in TYPES}))
