from __future__ import annotations

import pytest

from agents.models.profile import Profile
from gateway.core.errors import ConfigError


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080/v1", "https://api.example.org", "http://[::1]:8080/v1"]
)
def test_addresses_of_servers_are_taken(url: str) -> None:
    assert Profile(url, "sk-1", "m").base_url == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.example.org/v1",
        "ftp://example.org",
        "file:///etc/passwd",
        "http://",
        "https://user:secret@example.org",
        "https://example.org/v1?key=secret",
        "https://example.org/v1#secret",
    ],
)
def test_other_addresses_are_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ConfigError, match="base URL") as error:
        Profile(url, "", "m")
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("key", ["sk secret", "sk-secret\n", "sk-s\u00e9cret", "\x00secret"])
def test_a_key_that_is_no_header_is_refused_without_being_repeated(key: str) -> None:
    with pytest.raises(ConfigError, match="API key") as error:
        Profile("https://example.org", key, "m")
    assert "secret" not in str(error.value)


def test_the_key_is_in_no_repr() -> None:
    profile = Profile("https://example.org", "sk-secret", "m", proxy="http://u:secret@proxy")
    assert "secret" not in repr(profile)


@pytest.mark.parametrize("proxy", ["proxy:3128", "socks5://p:1", "http://u:s3/cret@p", "http://"])
def test_a_proxy_that_is_no_address_is_refused_without_its_password(proxy: str) -> None:
    with pytest.raises(ConfigError, match="http://user:password@host:port") as caught:
        Profile("https://example.org", "sk-secret", "m", proxy=proxy)
    assert "s3" not in str(caught.value)
