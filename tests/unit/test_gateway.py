"""The gateway's configuration, read with nginx's grammar (crossplane): routes, headers, TLS, limits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import crossplane
import pytest

from groundwork.nginx import ALIVE, HTTP, HTTPS, LIVE, Upstream, main_files, rate_of, routes_files
from groundwork.settings import Entry
from groundwork.system import Route
from groundwork.workload import SecretRef, Template
from tests.sample import CERTIFICATE, planned

ROUTES = (
    Route(path="/", app="web"),
    Route(path="/api/", app="api", timeout_seconds=90),
    Route(path="/ws", app="api", websocket=True),
)
UPSTREAMS = {"web": Upstream(release="web-11111111", port=8080), "api": Upstream(release="api-22222222", port=8000)}
TLS_KEY = SecretRef(owner="system", name="tls_key", generation="1")
MOZILLA_INTERMEDIATE = {
    # Mozilla's server side TLS guidelines, version 6.0, intermediate, as of nginx: no finite-field Diffie-Hellman.
    "ssl_protocols": ["TLSv1.2", "TLSv1.3"],
    "ssl_ciphers": [
        "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
        "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
    ],
    "ssl_ecdh_curve": ["X25519:prime256v1:secp384r1"],
    "ssl_prefer_server_ciphers": ["off"],
    "ssl_session_tickets": ["off"],
}
Directive = dict[str, Any]


def parsed(text: str, folder: Path) -> list[Directive]:
    path = folder / "http.conf"
    path.write_text(f"http {{\n{text}\n}}\n")
    payload = crossplane.parse(str(path), single=True, catch_errors=False)
    (http,) = payload["config"][0]["parsed"]
    return list(http["block"])


def routes_of(folder: Path, routes: tuple[Route, ...] = ROUTES, **entry: Any) -> list[Directive]:
    made = Entry(**entry)
    _, files = routes_files(made, routes, UPSTREAMS, TLS_KEY if made.certificate else None)
    assert isinstance(files[0].content, str)
    return parsed(files[0].content, folder)


def named(block: list[Directive], name: str) -> list[Directive]:
    return [directive for directive in block if directive["directive"] == name]


def value(block: list[Directive], name: str) -> list[str]:
    (directive,) = named(block, name)
    arguments: list[str] = directive["args"]
    return arguments


def servers(block: list[Directive], port: int) -> list[list[Directive]]:
    found = [server["block"] for server in named(block, "server")]
    return [server for server in found if value(server, "listen")[0] == str(port)]


def locations(server: list[Directive]) -> dict[str, list[Directive]]:
    return {" ".join(one["args"]): one["block"] for one in named(server, "location")}


def headers(server: list[Directive]) -> dict[str, str]:
    assert all(one["args"][2] == "always" for one in named(server, "add_header"))
    return {one["args"][0]: one["args"][1] for one in named(server, "add_header")}


def every(block: list[Directive]) -> Iterator[Directive]:
    for directive in block:
        yield directive
        yield from every(directive.get("block", []))


def test_every_route_leads_to_its_app(tmp_path: Path) -> None:
    (server,) = servers(routes_of(tmp_path), HTTP)
    found = {
        path: value(block, "proxy_pass") for path, block in locations(server).items() if named(block, "proxy_pass")
    }
    assert found == {"/": ["http://web"], "/api/": ["http://api"], "/ws": ["http://api"]}


def test_an_app_is_found_by_its_release_and_bridged_by_its_name(tmp_path: Path) -> None:
    upstreams = {one["args"][0]: one["block"] for one in named(routes_of(tmp_path), "upstream")}
    assert upstreams.keys() == {"web", "api"}
    for name, block in upstreams.items():
        upstream = UPSTREAMS[name]
        first, second = (one["args"] for one in named(block, "server"))
        assert first == [f"{upstream.release}:{upstream.port}", "resolve"]
        assert second == [f"{name}:{upstream.port}", "resolve", "backup"]
        assert value(block, "zone")[0] == name


def test_addresses_are_asked_for_again_and_again(tmp_path: Path) -> None:
    resolver = value(routes_of(tmp_path), "resolver")
    assert resolver[0] == "127.0.0.11" and "valid=2s" in resolver


def test_a_websocket_stays_open_for_an_hour_and_another_route_as_long_as_it_says(tmp_path: Path) -> None:
    (server,) = servers(routes_of(tmp_path), HTTP)
    assert value(locations(server)["/ws"], "proxy_read_timeout") == ["1h"]
    assert value(locations(server)["/ws"], "proxy_send_timeout") == ["1h"]
    assert value(locations(server)["/api/"], "proxy_read_timeout") == ["90s"]
    assert value(locations(server)["/"], "proxy_read_timeout") == ["60s"]


def test_a_connection_is_upgraded_to_websocket_and_to_nothing_else(tmp_path: Path) -> None:
    block = routes_of(tmp_path)
    (upgrade,) = [one for one in named(block, "map") if one["args"] == ["$http_upgrade", "$upgrade"]]
    assert {one["directive"]: one["args"] for one in upgrade["block"]} == {
        "default": [""],
        "~*^websocket$": ["websocket"],
    }
    (server,) = servers(block, HTTP)
    sent = {one["args"][0]: one["args"][1] for one in named(server, "proxy_set_header")}
    assert sent["Upgrade"] == "$upgrade"
    (connection,) = [one for one in named(block, "map") if one["args"] == ["$upgrade", sent["Connection"]]]
    assert {one["directive"]: one["args"] for one in connection["block"]} == {
        "default": [""],
        "websocket": ["upgrade"],
    }, "an empty Connection keeps the connection to the app"


def test_an_app_is_told_who_asks_and_how_as_the_gateway_knows_it(tmp_path: Path) -> None:
    (server,) = servers(routes_of(tmp_path), HTTP)
    sent = {one["args"][0]: one["args"][1] for one in named(server, "proxy_set_header")}
    assert sent["Host"] == sent["X-Forwarded-Host"] == "$host"
    assert sent["X-Forwarded-For"] == sent["X-Real-IP"] == "$remote_addr"
    assert sent["X-Forwarded-Proto"] == "$forwarded_proto"
    assert sent["X-Request-ID"] == "$request_id"


def test_no_location_takes_headers_of_its_own_and_loses_those_of_its_server(tmp_path: Path) -> None:
    entries: list[dict[str, Any]] = [{}, {"certificate": CERTIFICATE}]
    for entry in entries:
        for server in named(routes_of(tmp_path, **entry), "server"):
            for block in locations(server["block"]).values():
                assert not named(block, "add_header") and not named(block, "proxy_set_header")


def test_every_answer_has_the_security_headers(tmp_path: Path) -> None:
    (server,) = servers(routes_of(tmp_path), HTTP)
    assert headers(server) == {
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "SAMEORIGIN",
        "Referrer-Policy": "strict-origin-when-cross-origin",
        "X-Request-ID": "$request_id",
    }


def test_tls_is_mozillas_intermediate(tmp_path: Path) -> None:
    (server,) = servers(routes_of(tmp_path, certificate=CERTIFICATE), HTTPS)
    assert {name: value(server, name) for name in MOZILLA_INTERMEDIATE} == MOZILLA_INTERMEDIATE
    assert headers(server)["Strict-Transport-Security"] == "max-age=63072000"
    assert value(server, "listen")[1:] == ["ssl"]
    assert value(server, "http2") == ["on"]


def test_without_a_certificate_there_is_no_tls_and_no_promise_of_it(tmp_path: Path) -> None:
    block = routes_of(tmp_path)
    assert not servers(block, HTTPS)
    assert not [one for one in every(block) if one["directive"].startswith("ssl_")]
    assert "Strict-Transport-Security" not in json.dumps(block)


@pytest.mark.parametrize(("port", "suffix"), [(443, ""), (8443, ":8443"), (444, ":444")])
def test_plain_http_redirects_to_the_port_that_users_see(tmp_path: Path, port: int, suffix: str) -> None:
    (server,) = servers(routes_of(tmp_path, certificate=CERTIFICATE, https_port=port), HTTP)
    found = locations(server)
    assert value(found["/"], "return") == ["308", f"https://$host{suffix}$request_uri"]
    assert value(found["= /health"], "return")[0] == "200"
    assert found.keys() == {"/", "= /health"}, "nothing else is served in the clear"


def test_certificate_and_key_are_of_the_same_version_as_the_routes(tmp_path: Path) -> None:
    version, files = routes_files(Entry(certificate=CERTIFICATE), ROUTES, UPSTREAMS, TLS_KEY)
    assert {file.name for file in files} == {"routes.conf", "tls.crt", "tls.key"}
    assert [file.content for file in files if file.name == "tls.key"] == [Template((TLS_KEY,))]
    assert isinstance(files[0].content, str)
    (server,) = servers(parsed(files[0].content, tmp_path), HTTPS)
    assert value(server, "ssl_certificate") == [f"{LIVE}/{version}/tls.crt"]
    assert value(server, "ssl_certificate_key") == [f"{LIVE}/{version}/tls.key"]
    (answer,) = [
        one["args"]
        for one in every(parsed(files[0].content, tmp_path))
        if one["args"][:1] == ["200"] and version in one["args"]
    ]
    assert answer == ["200", version]


@pytest.mark.parametrize("names", [(), ("shop.example.com",), ("shop.example.com", "www.example.com")])
def test_the_names_served_are_those_of_the_entry(tmp_path: Path, names: tuple[str, ...]) -> None:
    (server,) = servers(routes_of(tmp_path, server_names=names), HTTP)
    assert value(server, "server_name") == list(names or ("_",))


def test_the_largest_body_is_the_entrys_and_bodies_stream(tmp_path: Path) -> None:
    block = routes_of(tmp_path, max_body_mib=250)
    assert value(block, "client_max_body_size") == ["250m"]
    (server,) = servers(block, HTTP)
    assert value(server, "proxy_request_buffering") == ["off"]


@pytest.mark.parametrize(
    ("per_second", "rate"),
    [
        (50, "50r/s"),
        (100_000, "100000r/s"),
        (10, "10r/s"),
        (9.9, "594r/m"),
        (1, "60r/m"),
        (0.5, "30r/m"),
        (0.1, "6r/m"),
    ],
)
def test_nginx_is_told_the_rate_in_whole_numbers(per_second: float, rate: str) -> None:
    assert rate_of(per_second) == rate


def test_every_route_is_limited_per_client_and_the_gateways_own_health_is_not(tmp_path: Path) -> None:
    block = routes_of(tmp_path, requests_per_second=5, burst=7)
    assert value(block, "limit_req_zone") == ["$binary_remote_addr", "zone=per_client:10m", "rate=300r/m"]
    assert value(block, "limit_req_status") == ["429"]
    (server,) = servers(block, HTTP)
    for path, location in locations(server).items():
        if path == "= /health":
            assert not named(location, "limit_req")
        else:
            assert value(location, "limit_req") == ["zone=per_client", "burst=7", "nodelay"]


def test_only_trusted_proxies_are_believed(tmp_path: Path) -> None:
    block = routes_of(tmp_path, trusted_proxies=("10.0.0.0/24", "192.168.7.0/28"))
    assert [one["args"] for one in named(block, "set_real_ip_from")] == [["10.0.0.0/24"], ["192.168.7.0/28"]]
    assert value(block, "real_ip_header") == ["X-Forwarded-For"]
    (geo,) = named(block, "geo")
    assert geo["args"] == ["$realip_remote_addr", "$from_trusted_proxy"]
    assert {one["directive"]: one["args"] for one in geo["block"]} == {
        "default": ["0"],
        "10.0.0.0/24": ["1"],
        "192.168.7.0/28": ["1"],
    }


def test_without_a_trusted_proxy_nobody_is_believed(tmp_path: Path) -> None:
    block = routes_of(tmp_path)
    assert not named(block, "set_real_ip_from") and not named(block, "real_ip_header")
    (geo,) = named(block, "geo")
    assert {one["directive"]: one["args"] for one in geo["block"]} == {"default": ["0"]}


def test_what_is_text_is_compressed(tmp_path: Path) -> None:
    block = routes_of(tmp_path)
    assert value(block, "gzip") == ["on"]
    assert {"application/json", "text/css", "text/javascript", "image/svg+xml"} <= set(value(block, "gzip_types"))


def test_the_access_log_is_json_without_the_query(tmp_path: Path) -> None:
    (form,) = named(routes_of(tmp_path), "log_format")
    assert form["args"][:2] == ["structured", "escape=json"]
    line = "".join(form["args"][2:])
    for number in ("$status", "$body_bytes_sent", "$request_time"):
        line = line.replace(number, "1")
    fields = json.loads(line)
    assert fields["path"] == "$uri" and fields["request_id"] == "$request_id"
    assert "$request_uri" not in line and "$args" not in line


def test_the_main_configuration_knows_nothing_of_routes(tmp_path: Path) -> None:
    path = tmp_path / "nginx.conf"
    (main,) = main_files(f"{LIVE}/current", f"127.0.0.1:{ALIVE}")
    text = main.content
    assert isinstance(text, str)
    path.write_text(text)
    parsed_main = crossplane.parse(str(path), single=True, catch_errors=False)["config"][0]["parsed"]
    assert "proxy_pass" not in {one["directive"] for one in every(parsed_main)}
    assert [one["args"] for one in every(parsed_main) if one["directive"] == "include"] == [[f"{LIVE}/current/*.conf"]]


def test_the_version_changes_with_every_part_of_the_configuration() -> None:
    def version(routes: tuple[Route, ...] = ROUTES, key: SecretRef | None = None, **entry: Any) -> str:
        return routes_files(Entry(**entry), routes, UPSTREAMS, key)[0]

    other_key = SecretRef(owner="system", name="tls_key", generation="2")
    versions = [
        version(),
        version(routes=ROUTES[:2]),
        version(max_body_mib=10),
        version(certificate=CERTIFICATE, key=TLS_KEY),
        version(certificate=CERTIFICATE, key=other_key),
        version(certificate=CERTIFICATE.replace("MIIB", "MIIC"), key=TLS_KEY),
    ]
    assert len(set(versions)) == len(versions)
    assert version() == version(routes=tuple(reversed(ROUTES)))


def test_the_gateway_publishes_https_only_with_a_certificate() -> None:
    plain = planned().workload("gateway").published
    assert {(port.port, port.target) for port in plain} == {(8080, HTTP)}
    tls = planned({"entry": {"certificate": CERTIFICATE}, "secret_tls_key": "k"}).workload("gateway").published
    assert {(port.port, port.target) for port in tls} == {(8080, HTTP), (8443, HTTPS)}
