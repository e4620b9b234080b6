"""Hosts and origins as pure text; what browsers and attackers send is in `tests/security`."""

import pytest

from gateway.core.errors import ConfigError
from gateway.http.hosts import Allowed, Host, parse_host

LOOPBACK = [("127.0.0.1", 8765)]


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("localhost", Host("localhost", None)),
        ("LocalHost:8765", Host("localhost", 8765)),
        ("[::1]:80", Host("[::1]", 80)),
        ("[0:0::1]", Host("[::1]", None)),
        ("a-b.example:1", Host("a-b.example", 1)),
        ("a", Host("a", None)),
    ],
)
def test_a_name_and_a_port_are_read(text: str, host: Host) -> None:
    assert parse_host(text) == host


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":1",
        "a:",
        "a:b",
        "a:123456",
        "a.",
        ".a",
        "-a",
        "a b",
        "a@b",
        "a/b",
        "[1]",
        "[::1",
        "::1",
    ],
)
def test_anything_else_is_no_host(text: str) -> None:
    assert parse_host(text) is None


def test_listening_on_loopback_allows_its_three_names() -> None:
    allowed = Allowed(LOOPBACK, scheme="http")
    for name in ("localhost", "127.0.0.1", "[::1]"):
        assert allowed.host([f"{name}:8765"])
        assert allowed.origin([f"http://{name}:8765"])
        assert not allowed.host([name])
        assert not allowed.origin([f"https://{name}:8765"])


def test_listening_on_an_address_allows_that_address_alone() -> None:
    allowed = Allowed([("192.168.1.5", 8765)], scheme="http")
    assert allowed.host(["192.168.1.5:8765"])
    assert not allowed.host(["127.0.0.1:8765"])
    assert not allowed.host(["192.168.1.6:8765"])


def test_listening_everywhere_allows_this_machine_until_a_name_is_set() -> None:
    """Which names point here only the operator knows; a stranger's name may too."""
    allowed = Allowed([("0.0.0.0", 8765)], scheme="http", hosts=["gw.lan"])
    assert allowed.host(["localhost:8765"])
    assert allowed.host(["gw.lan:8765"])
    assert not allowed.host(["0.0.0.0:8765"])
    assert not allowed.host(["other.lan:8765"])


@pytest.mark.parametrize(("scheme", "port"), [("http", 80), ("https", 443)])
def test_the_standard_port_is_left_out_by_browsers(scheme: str, port: int) -> None:
    allowed = Allowed([("127.0.0.1", port)], scheme=scheme)
    assert allowed.host(["localhost"])
    assert allowed.host([f"localhost:{port}"])
    assert allowed.origin([f"{scheme}://localhost"])


def test_no_header_is_no_browser_and_two_are_refused() -> None:
    allowed = Allowed(LOOPBACK, scheme="http")
    origin = "http://localhost:8765"
    assert allowed.origin([])
    assert not allowed.origin([origin, origin])
    assert not allowed.host([])
    assert not allowed.host(["localhost:8765", "localhost:8765"])


@pytest.mark.parametrize(
    ("origins", "sites", "fine"),
    [
        ([], [], True),
        ([], ["same-origin"], True),
        ([], ["none"], True),
        ([], ["cross-site"], False),
        ([], ["same-site"], False),
        ([], ["none", "cross-site"], False),
        (["http://localhost:8765"], ["cross-site"], True),
    ],
)
def test_fetch_metadata_decides_where_there_is_no_origin(
    origins: list[str], sites: list[str], fine: bool
) -> None:
    assert Allowed(LOOPBACK, scheme="http").site(origins, sites) is fine


@pytest.mark.parametrize("text", ["", "http://x", "x/y", "x:", "a b", "x@y"])
def test_a_host_setting_that_can_never_match_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is no host"):
        Allowed(LOOPBACK, scheme="http", hosts=[text])


@pytest.mark.parametrize(
    "text", ["", "x", "null", "ftp://x", "https://x/", "https://X", "http://a@b"]
)
def test_an_origin_setting_that_can_never_match_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is no origin"):
        Allowed(LOOPBACK, scheme="http", origins=[text])
