"""Who is the same person on several channels: declared, never guessed from equal ids.

`gateway.routing.file` reads the links, `gateway.routing.scopes` asks them for agents whose dm scope
is `per-peer`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from gateway.core.errors import InvalidInput

_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Address:
    """A peer where its id means something: at one account of one channel."""

    channel: str
    account: str
    peer: str

    def __str__(self) -> str:
        # Two colons in every text, whatever the parts hold: injective, and never a person's name.
        parts = (self.channel, self.account, self.peer)
        return ":".join(quote(part, safe="@+/", errors="surrogatepass") for part in parts)


def parse_address(text: str) -> Address:
    """`channel:account:peer` as people write it; raises `InvalidInput`.

    The peer is all that follows the second colon; `%3A` is a colon elsewhere, `%25` a percent sign.
    """
    parts = text.split(":", 2)
    if len(parts) != 3 or not all(parts):
        raise InvalidInput(f"expected 'channel:account:peer', got {text!r}")
    if _LONE_PERCENT.search(text):
        raise InvalidInput(f"a percent sign is written %25, got {text!r}")
    try:
        return Address(*(unquote(part, errors="strict") for part in parts))
    except UnicodeDecodeError:
        raise InvalidInput(f"the escapes do not spell UTF-8, got {text!r}") from None


@dataclass(frozen=True, slots=True)
class Identities:
    """The person behind an address. A person's name has no colon, so it is never an address."""

    people: Mapping[Address, str] = field(default_factory=dict)

    def person(self, address: Address) -> str | None:
        """The linked name; None for an address nobody linked."""
        return self.people.get(address)
