"""Addresses of PostgreSQL as providers print them and people write them."""

import asyncpg.connect_utils
import pytest

from gateway.core.errors import ConfigError
from gateway.store.postgres.address import TAKEN, WITHOUT_EFFECT, parse_address

PASSWORD = "p@ss/w:rd#1%25 ü?&x=y"
ESCAPED = "p%40ss%2Fw%3Ard%231%2525%20%C3%BC%3F%26x%3Dy"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        (
            "postgresql://ann:s3cret@127.0.0.1:1/gate?password=s3cret",
            "postgresql://ann@127.0.0.1:1/gate",
        ),
        ("postgres://ann@db.example/gate", "postgresql://ann@db.example/gate"),
        ("postgresql:///gate?host=/tmp/s", "postgresql:///gate"),
        ("postgresql://db.example", "postgresql://db.example"),
        ("postgresql://ann:s@%2Ftmp%2Fs/gate", "postgresql://ann@%2Ftmp%2Fs/gate"),
        ("postgresql://ann:s@[::1]:5432/gate", "postgresql://ann@[::1]:5432/gate"),
        ("postgresql://a:s@one:1,two:2/gate", "postgresql://a@one:1,two:2/gate"),
        (f"postgresql://ann:{ESCAPED}@db/gate", "postgresql://ann@db/gate"),
    ],
)
def test_an_address_is_shown_without_secrets(url: str, name: str) -> None:
    assert parse_address(url).name == name


@pytest.mark.parametrize(
    "options",
    [
        "sslmode=require",
        "channel_binding=prefer",
        "application_name=mine",
        "connect_timeout=10",
        "options=endpoint%3Dep-cool-name",
        "keepalives=1&keepalives_idle=30&tcp_user_timeout=5000",
        "target_session_attrs=read-write&gssencmode=disable",
    ],
)
def test_options_of_hosters_are_taken(options: str) -> None:
    url = parse_address(f"postgresql://ann:{ESCAPED}@db/gate?{options}").url
    for name in WITHOUT_EFFECT | {"connect_timeout", "channel_binding"}:
        assert f"{name}=" not in url
    if options.startswith(("sslmode", "application", "options", "target")):
        assert options.partition("&")[0] in url


def test_the_time_to_connect_is_libpqs() -> None:
    """Whole seconds; libpq rounds 1 up to 2, and 0 means for ever, which a start cannot wait."""
    found = {n: parse_address(f"postgresql://db?connect_timeout={n}").connect_s for n in (0, 1, 30)}
    assert found == {0: 5.0, 1: 2.0, 30: 30.0}


def test_a_connection_is_named_unless_the_address_names_it() -> None:
    assert parse_address("postgresql://db").url == "postgresql://db?application_name=turngate"
    assert parse_address("postgresql://db?application_name=x").url.endswith("?application_name=x")


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("channel_binding=require", "sslmode=verify-full"),
        ("pgbouncer=true", "session mode"),
        ("schema=gate", "search_path"),
        ("sslmod=require", "do not know"),
        ("connect_timeout=soon", "number of seconds"),
        ("sslmode", "percent-encoded"),
    ],
)
def test_an_option_that_cannot_be_kept_is_refused_with_the_fix(option: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse_address(f"postgresql://ann:s3cret@db/gate?{option}")


@pytest.mark.parametrize(
    "password",
    [
        PASSWORD,
        "a@b",
        "a/b",
        "a#b",
        "a?b",
        "a?sslmode=c",
        "a?b=c&d",
        "a b",
        "a:b",
        "1/2@c",
        "1?sslmode=c",
    ],
)
def test_a_password_that_was_not_escaped_is_shown_in_no_part(password: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_address(f"postgresql://ann:{password}@db.example/gate")
    said = str(caught.value).replace("percent-encoded, '@' as %40, '/' as %2F, '#' as %23", "")
    assert "percent-encoded" in str(caught.value) or "host" in said
    for part in ("ss/w", "w:rd", "b=c", "ann", "gate", "db.example", password):
        assert part not in said.replace("sslmode", "")


@pytest.mark.parametrize("url", ["mysql://a:s3cret@b", "s3cret", "postgresql+asyncpg://a:s3cret@b"])
def test_another_kind_of_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_address(url)
    assert "postgresql://" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_the_client_library_takes_what_is_handed_on() -> None:
    """Whatever it does not take out of an address it sends to the server as a setting."""
    ours = TAKEN - {
        "service",
        "application_name",
        "options",
        "search_path",
    }  # a service needs a file
    names = asyncpg.connect_utils._parse_connect_dsn_and_args.__code__.co_consts  # noqa: SLF001  # no public list
    assert ours <= set(names)
