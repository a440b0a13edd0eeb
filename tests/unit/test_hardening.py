"""Hardening as data: what each fact about a machine comes to in its script, its firewall and its engine."""

from __future__ import annotations

import gzip
import json
from dataclasses import fields, replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest
import yaml

from groundwork.edge import trusted_proxies
from groundwork.hardening import digest, document, hardenings, ready_command, script
from groundwork.hardening.cloud_init import PATH
from groundwork.hardening.engine import MOST_TASKS, daemon_settings, tasks_max
from groundwork.hardening.firewall import METADATA, container_rules, host_rules
from groundwork.hardening.script import files
from groundwork.machines import Opening
from tests.hardened import HOST_KEY, KEY, all_roles, hardened
from tests.sample import configured

USER_DATA_BYTES = 16_384
"""What AWS takes (Amazon EC2 user guide: 16 KB before it is base64-encoded)."""
CHANGES: dict[str, Any] = {
    "host_name": "other", "role": "data", "time_zone": "UTC", "memory_mib": 7680,
    "swap_mib": 0, "data_disk": False, "administrators": (), "deployers": (KEY, KEY.replace("somebody", "pipeline")),
    "openings": (), "machines": (IPv4Address("10.20.0.4"),), "container_subnets": IPv4Network("10.220.0.0/14"),
    "private_subnets": IPv4Network("10.215.0.0/16"), "balancer_subnets": (), "registry_mirrors": (),
    "data_device": "/dev/sdb", "time_servers": (), "reboot_at": None,
}  # fmt: skip


def content(path: str, **changes: Any) -> str:
    return next(file.content for file in files(hardened(**changes)) if file.path.endswith(path))


def test_every_fact_about_a_machine_is_changed_below() -> None:
    assert {field.name for field in fields(hardened())} == CHANGES.keys()


@pytest.mark.parametrize("fact", CHANGES)
def test_another_fact_is_another_script_and_another_digest(fact: str) -> None:
    one, other = hardened(), hardened(**{fact: CHANGES[fact]})
    assert script(one) != script(other)
    assert digest(one) != digest(other)


def test_the_same_facts_are_the_same_script_with_its_digest_in_it() -> None:
    assert script(hardened()) == script(hardened())
    assert f"\nDIGEST={digest(hardened())}\n" in script(hardened())
    assert digest(hardened()) in ready_command(hardened())
    assert len(digest(hardened())) == 8


@pytest.mark.parametrize("role", all_roles())
def test_the_document_carries_the_very_script_and_runs_it(role: str) -> None:
    hardening = all_roles()[role]
    text = document(hardening, host_key_private=HOST_KEY, host_key_public=KEY)
    assert text.startswith("#cloud-config\n")
    parts = yaml.safe_load(text)
    (written,) = parts["write_files"]
    assert written["content"] == script(hardening)
    assert parts["runcmd"] == [[PATH]] and written["path"] == PATH and written["permissions"] == "0700"
    assert parts["ssh_keys"] == {"ed25519_private": HOST_KEY, "ed25519_public": KEY}
    assert [user["name"] for user in parts["users"]] == ["groundwork"]


@pytest.mark.parametrize("role", all_roles())
def test_aws_takes_the_document_of_every_role_with_room_to_spare(role: str) -> None:
    text = document(all_roles()[role], host_key_private=HOST_KEY, host_key_public=KEY)
    assert len(gzip.compress(text.encode())) < USER_DATA_BYTES * 3 / 4


def test_the_host_key_is_in_the_document_alone() -> None:
    assert "OPENSSH" not in script(hardened())
    other = document(hardened(), host_key_private="another\n", host_key_public="ssh-ed25519 AAAA")
    assert script(hardened()) in yaml.safe_load(other)["write_files"][0]["content"]


def test_ssh_is_open_to_administrators_and_nothing_else_to_anybody() -> None:
    assert host_rules(hardened()) == (
        "allow from 192.0.2.0/24 to any port 22 proto tcp",
        "allow from 203.0.113.7 to any port 22 proto tcp",
    )


def test_without_administrators_ssh_is_open_to_nobody() -> None:
    assert not [rule for rule in host_rules(hardened(administrators=())) if "port 22" in rule]


def rules(**changes: Any) -> list[str]:
    return container_rules(hardened(**changes)).splitlines()


def test_what_was_not_opened_is_closed_whoever_comes_from_outside() -> None:
    entering = [rule for rule in rules(openings=()) if rule.startswith("-A GROUNDWORK-ENTER")]
    assert entering == ["-A GROUNDWORK-ENTER -j DROP"]


def test_what_leaves_is_never_judged_as_what_enters() -> None:
    first = [rule for rule in rules() if rule.startswith("-A DOCKER-USER")]
    assert [rule.split()[-2:] for rule in first[1:]] == [
        ["-g", "GROUNDWORK-LEAVE"],
        ["-g", "GROUNDWORK-LEAVE"],
        ["-g", "GROUNDWORK-ENTER"],
        ["-j", "RETURN"],
    ]


def test_an_opening_lets_its_sources_in_at_the_published_port_alone() -> None:
    entering = [rule for rule in rules() if rule.startswith("-A GROUNDWORK-ENTER")]
    words = [rule.split() for rule in entering[:-1]]
    assert [(one[3], one[one.index("--ctorigdstport") + 1]) for one in words] == [
        ("0.0.0.0/0", "443"),
        ("10.20.0.5/32", "23306"),
        ("10.20.0.6/32", "23306"),
    ]
    assert all("--ctstate DNAT" in rule and "--ctorigdstport" in rule for rule in entering[:-1])
    assert entering[-1].endswith("-j DROP")


def test_no_container_reaches_a_service_that_hands_out_credentials() -> None:
    leaving = [rule for rule in rules() if rule.startswith("-A GROUNDWORK-LEAVE")]
    end = leaving.index("-A GROUNDWORK-LEAVE -j RETURN")
    for address in METADATA:
        assert leaving.index(f"-A GROUNDWORK-LEAVE -d {address} -j REJECT") < end


def test_private_networks_reach_machines_and_nothing_else() -> None:
    private = [rule for rule in rules() if "10.214.0.0/15" in rule]
    assert [rule.split("10.214.0.0/15 ")[1] for rule in private] == [
        "-d 10.20.0.4 -j RETURN",
        "-d 10.20.0.5 -j RETURN",
        "-d 10.20.0.6 -j RETURN",
        "-j REJECT",
    ]


def test_the_engine_takes_a_range_that_meets_no_machine() -> None:
    assert daemon_settings(hardened())["default-address-pools"] == [{"base": "172.17.0.0/16", "size": 24}]
    there = hardened(machines=(IPv4Address("172.17.3.4"),))
    assert daemon_settings(there)["default-address-pools"] == [{"base": "192.168.240.0/20", "size": 24}]


def test_a_stack_that_takes_every_range_is_told_so() -> None:
    everywhere = tuple(IPv4Address(one) for one in ("172.17.3.4", "192.168.240.9", "10.255.241.1"))
    with pytest.raises(ValueError, match="all meet addresses of the stack"):
        script(hardened(machines=everywhere))


def test_processes_of_containers_are_limited_by_the_machine() -> None:
    assert [tasks_max(mib) for mib in (512, 3584, 65_536)] == [2048, 7168, MOST_TASKS]
    assert "TasksMax=7168\n" in content("groundwork.slice")
    assert daemon_settings(hardened())["cgroup-parent"] == "groundwork.slice"


def test_the_engine_keeps_what_every_container_is_to_have() -> None:
    settings = json.loads(content("/etc/docker/daemon.json"))
    assert settings["live-restore"] and settings["no-new-privileges"] and not settings["icc"]
    assert settings["default-ulimits"]["nofile"] == {"Name": "nofile", "Soft": 65_535, "Hard": 65_535}
    assert settings["registry-mirrors"] == ["https://mirror.example.com"]
    assert "registry-mirrors" not in json.loads(content("/etc/docker/daemon.json", registry_mirrors=()))


@pytest.mark.parametrize(
    "setting",
    [
        "net.core.somaxconn = 65535",
        "net.ipv4.tcp_max_syn_backlog = 8192",
        "net.ipv4.tcp_tw_reuse = 1",
        "net.ipv4.tcp_fin_timeout = 30",
        "vm.swappiness = 10",
    ],
)
def test_the_kernel_has_what_the_documents_ask_for(setting: str) -> None:
    assert setting in content("/etc/sysctl.d/zz-groundwork.conf").splitlines()


def test_a_machine_restarts_by_itself_at_the_given_hour_or_never() -> None:
    at = content("53groundwork-upgrades")
    assert 'Automatic-Reboot "true"' in at and 'Automatic-Reboot-Time "04:30"' in at
    never = content("53groundwork-upgrades", reboot_at=None)
    assert 'Automatic-Reboot "false"' in never and "Automatic-Reboot-Time" not in never


def test_nobody_is_banned_for_what_clients_of_a_balancer_or_container_do() -> None:
    (ignored,) = (line for line in content("groundwork.local").splitlines() if line.startswith("ignoreip"))
    assert {"127.0.0.0/8", "10.20.0.5", "10.20.128.0/21", "10.212.0.0/14"} <= set(ignored.split())


def test_without_time_servers_the_systems_own_stay() -> None:
    assert "NTP=ntp.example.com 169.254.169.123\n" in content("timesyncd.conf.d/groundwork.conf")
    assert not [file for file in files(hardened(time_servers=())) if "timesyncd" in file.path]


EXISTING: dict[str, Any] = {
    "time_zone": "Asia/Shanghai",
    "entry": {"address": "0.0.0.0", "http_port": 80, "trusted_proxies": ["10.20.9.0/24"]},
    "machines": {
        "kind": "existing",
        "administrators": ["192.0.2.0/24"],
        "swap_mib": 512,
        "roles": {
            "app": {
                "memory_mib": 3584,
                "hosts": [
                    {"address": "one.example.com", "private_address": "10.20.0.4", "host_key": KEY},
                    {"address": "two.example.com", "private_address": "10.20.0.5", "host_key": KEY},
                ],
            },
            "data": {
                "memory_mib": 7680,
                "data_disk": "/dev/sdb",
                "hosts": [{"address": "db.example.com", "private_address": "10.20.0.9", "host_key": KEY}],
            },
        },
    },
}
OPENINGS = {
    "app-1": (Opening(port=80, sources=("world",)), Opening(port=8092, sources=("app-2",))),
    "app-2": (Opening(port=80, sources=("balancer",)),),
    "data-1": (Opening(port=23306, sources=("app-1", "app-2")),),
}


def test_names_of_a_plan_become_networks_of_its_machines() -> None:
    found = hardenings(configured(EXISTING).settings, OPENINGS, prefix="shop-prod", deployers=[KEY])
    assert found.keys() == {"app-1", "app-2", "data-1"}
    assert found["app-1"].openings == (
        Opening(port=80, sources=("0.0.0.0/0",)),
        Opening(port=8092, sources=("10.20.0.5/32",)),
    )
    assert found["app-2"].openings == (Opening(port=80, sources=("10.20.9.0/24",)),)
    assert found["data-1"].openings == (Opening(port=23306, sources=("10.20.0.4/32", "10.20.0.5/32")),)


def test_the_settings_of_a_stack_reach_each_machine() -> None:
    data = hardenings(configured(EXISTING).settings, OPENINGS, prefix="shop-prod", deployers=[KEY])["data-1"]
    assert (data.host_name, data.role, data.memory_mib, data.swap_mib) == ("shop-prod-data-1", "data", 7680, 512)
    assert (data.data_disk, data.data_device) == (True, "/dev/sdb")
    assert data.deployers == (KEY,) and data.administrators == (IPv4Network("192.0.2.0/24"),)
    assert data.private_subnets.subnet_of(data.container_subnets) and data.private_subnets != data.container_subnets


AWS: dict[str, Any] = {
    "aws": {
        "account": "123456789012",
        "region": "ap-southeast-1",
        "network": {"zones": ["ap-southeast-1a", "ap-southeast-1b"]},
    },
    "machines": {
        "kind": "aws",
        "deployers": [KEY],
        "reboot_at": "04:30",
        "roles": {"all": {"vcpus": 2, "memory_gib": 4, "zones": ["ap-southeast-1a"]}},
    },
}


def test_machines_of_aws_have_a_data_disk_their_deployers_and_the_clouds_time() -> None:
    openings = {"all-1": (Opening(port=80, sources=("balancer",)),)}
    found = hardenings(configured(AWS).settings, openings, prefix="shop-prod")["all-1"]
    assert found.data_disk and not found.data_device
    assert found.deployers == (KEY,) and found.time_servers == ("169.254.169.123",) and found.reboot_at == "04:30"


@pytest.mark.parametrize("edge", [None, {"hosted_zone": "example.com"}], ids=["a balancer of one's own", "edge"])
def test_the_firewall_lets_in_what_the_gateway_believes(edge: dict[str, Any] | None) -> None:
    outside = IPv4Network("10.99.9.0/24")
    more = {"edge": edge, "entry": {"server_names": ["example.com"], "trusted_proxies": [str(outside)]}}
    settings = configured(AWS | more).settings
    openings = {"all-1": (Opening(port=80, sources=("balancer",)),)}
    found = hardenings(settings, openings, prefix="shop-prod")["all-1"]
    assert found.openings[0].sources == tuple(map(str, found.balancer_subnets))
    subnets = [IPv4Network("10.20.0.0/21"), IPv4Network("10.20.8.0/21")]
    assert [*found.balancer_subnets] == (subnets if edge else [outside])
    assert [*trusted_proxies(settings)] == ([*subnets, outside] if edge else [outside])


def test_a_stack_without_machines_has_none_to_harden() -> None:
    assert not hardenings(configured().settings, {}, prefix="shop-dev")


def test_what_is_only_a_reordering_of_machines_changes_no_rule() -> None:
    one = hardened()
    other = replace(one, machines=tuple(reversed(one.machines)))
    assert container_rules(one) == container_rules(other) and host_rules(one) == host_rules(other)
