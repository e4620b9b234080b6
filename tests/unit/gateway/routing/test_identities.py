"""Links are read as people write them, and an address never reads like a person."""

import pytest

from gateway.core.errors import InvalidInput
from gateway.routing.identities import Address, Identities, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("discord:default:42", Address("discord", "default", "42")),
        ("websocket:default:ann/laptop", Address("websocket", "default", "ann/laptop")),
        ("matrix:%40bot%3Ahost:@ann:host", Address("matrix", "@bot:host", "@ann:host")),
        ("discord:default:100%25", Address("discord", "default", "100%")),
        ("discord:default:ä", Address("discord", "default", "ä")),
    ],
)
def test_an_address_is_read_as_people_write_it(text: str, address: Address) -> None:
    """Only a colon before the peer and a percent sign need an escape."""
    assert parse_address(text) == address
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    "text", ["", "42", "discord:42", ":default:42", "discord::42", "discord:default:", "a:b:5%"]
)
def test_an_incomplete_address_is_refused_with_its_text(text: str) -> None:
    """A link that can never apply would silently do nothing."""
    with pytest.raises(InvalidInput, match=r"expected 'channel:account:peer'|%25") as error:
        parse_address(text)
    assert repr(text) in str(error.value)


def test_escapes_that_spell_no_text_are_refused() -> None:
    """Such a peer cannot exist."""
    with pytest.raises(InvalidInput, match="do not spell UTF-8"):
        parse_address("discord:default:%FF")


def test_an_address_nobody_linked_has_no_person() -> None:
    """Equal ids on two channels are not a link."""
    links = Identities({Address("discord", "default", "42"): "ann"})
    assert links.person(Address("discord", "default", "42")) == "ann"
    assert links.person(Address("telegram", "default", "42")) is None
    assert Identities().person(Address("discord", "default", "42")) is None
