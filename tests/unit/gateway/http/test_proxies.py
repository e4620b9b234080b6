"""Whose word is taken for where a request comes from."""

import pytest

from gateway.core.errors import ConfigError
from gateway.http.proxies import Proxies


def test_nobody_is_believed_by_default() -> None:
    assert Proxies().client("127.0.0.1", ["10.0.0.1"]) == "127.0.0.1"
    assert not Proxies().trusts("127.0.0.1")


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("10.1.1.1", ["8.8.8.8"], "8.8.8.8"),
        ("10.1.1.1", ["1.2.3.4, 8.8.8.8"], "8.8.8.8"),
        ("10.1.1.1", ["1.2.3.4", "8.8.8.8"], "8.8.8.8"),
        ("10.1.1.1", ["8.8.8.8, 10.2.2.2"], "8.8.8.8"),
        ("10.1.1.1", ["2001:db8::0:1"], "2001:db8::1"),
        ("10.1.1.1", [], "10.1.1.1"),
        ("10.1.1.1", ["", "unknown"], "10.1.1.1"),
        ("10.1.1.1", ["8.8.8.8, \n"], "10.1.1.1"),
        ("8.8.4.4", ["1.2.3.4"], "8.8.4.4"),
        ("10.1.1.1", ["8.8.8.8:40001"], "8.8.8.8"),
        ("10.1.1.1", ["1.2.3.4:1, 8.8.8.8:40001, 10.2.2.2:5"], "8.8.8.8"),
        ("10.1.1.1", ["[2001:db8::7]:40001"], "2001:db8::7"),
        ("10.1.1.1", ["[2001:db8::7]"], "2001:db8::7"),
        ("10.1.1.1", ["8.8.8.8:", "8.8.8.8:http", "[8.8.8.8"], "10.1.1.1"),
        ("10.1.1.1", ["[2001:db8::7]40001"], "10.1.1.1"),
        ("10.1.1.1", ["8.8.8.8:٤"], "10.1.1.1"),
        ("", ["1.2.3.4"], ""),
    ],
)
def test_the_last_hop_that_no_proxy_wrote_is_the_client(
    peer: str, forwarded: list[str], client: str
) -> None:
    assert Proxies(["10.0.0.0/8"]).client(peer, forwarded) == client


@pytest.mark.parametrize("text", ["proxy.lan", "10.0.0.1/8", "", "*"])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="trusted proxy"):
        Proxies([text])
