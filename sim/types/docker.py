"""Docker's rows.

Sources: the GetSchema answer and the Check, Diff and preview answers of the real pulumi-docker 5.1.0 plugin
(its flags are terraform-provider-docker's `ForceNew`).

Two surprises of the real plugin are kept: a changed mount of an unchanged number of mounts, and a changed
healthcheck, init, tmpfs, cpuPeriod, cpuQuota or rm, are "updated" although the engine keeps the old
container. A program that wants them applied says `replace_on_changes`.
"""

from __future__ import annotations

from collections.abc import Mapping

import pulumi_docker

from sim import outputs
from sim.types.row import NAMED, ResourceType, always, when_its_name_is_chosen, words

CONTAINER = ResourceType(
    sdk=lambda: pulumi_docker.ContainerArgs,
    replace_on=words("""
        capabilities cgroupParent cgroupnsMode command cpus deviceRequests devices dns dnsOpts dnsSearches
        domainname entrypoints envs gpus groupAdds hostname hosts image ipcMode labels logDriver logOpts
        mounts name networkMode networksAdvanced pidMode platform ports privileged publishAllPorts readOnly
        runtime securityOpts shmSize stdinOpen stopSignal stopTimeout storageOpts sysctls tty ulimits
        uploads user usernsMode volumes workingDir
    """),
    in_place_within=words("""
        mounts.target mounts.source mounts.type mounts.readOnly mounts.bindOptions
        mounts.tmpfsOptions.mode mounts.tmpfsOptions.sizeBytes
        mounts.volumeOptions.driverName mounts.volumeOptions.driverOptions mounts.volumeOptions.noCopy
    """),
    computed_inputs=words("""
        command entrypoints envs healthcheck hostname init ipcMode labels logDriver platform runtime
        securityOpts shmSize stopSignal stopTimeout
    """),
    removal_ignored=words("user workingDir"),
    computed=words("bridge containerLogs exitCode networkDatas"),
    sets=words("""
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
    autoname=NAMED,
    deletes_first=always,
    compute=outputs.container,
)

NETWORK = ResourceType(
    sdk=lambda: pulumi_docker.NetworkArgs,
    replace_on=words(
        "attachable driver ingress internal ipamConfigs ipamDriver ipamOptions ipv6 labels name options"
    ),
    computed_inputs=words("driver internal ipamConfigs options"),
    computed=words("scope"),
    sets=words("ipamConfigs labels"),
    defaults={"ipamDriver": "default"},
    autoname=NAMED,
    deletes_first=when_its_name_is_chosen,
    compute=outputs.network,
)

VOLUME = ResourceType(
    sdk=lambda: pulumi_docker.VolumeArgs,
    replace_on=words("driver driverOpts labels name"),
    computed_inputs=words("driver"),
    computed=words("mountpoint"),
    sets=words("labels"),
    refused=words("cluster"),
    autoname=NAMED,
    deletes_first=when_its_name_is_chosen,
    compute=outputs.volume,
)

REMOTE_IMAGE = ResourceType(
    sdk=lambda: pulumi_docker.RemoteImageArgs,
    replace_on=words("name platform pullTriggers triggers"),
    computed=words("imageId repoDigest"),
    sets=words("pullTriggers"),
    refused=words("build"),
    compute=outputs.remote_image,
)

TYPES: Mapping[str, ResourceType] = {
    "docker:index/container:Container": CONTAINER,
    "docker:index/network:Network": NETWORK,
    "docker:index/remoteImage:RemoteImage": REMOTE_IMAGE,
    "docker:index/volume:Volume": VOLUME,
}
