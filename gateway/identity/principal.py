"""Who is asking, and what they may do: the values every surface works with.

Scopes come from the server's record of a credential, never from what a client says of itself; a
client can only ask for less.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from gateway.core.errors import Forbidden


class Scope(StrEnum):
    """What a credential allows. They do not imply each other, except that admin has all."""

    READ = "read"
    """See own sessions, turns, events."""
    CHAT = "chat"
    """Send messages, cancel own turns."""
    OPERATOR = "operator"
    """See and steer all sessions; speak for any channel and peer."""
    ADMIN = "admin"
    """Credentials, bindings, agents."""


@dataclass(frozen=True, slots=True)
class Principal:
    """The holder of a credential. `credential_id` names it without being a secret."""

    name: str
    scopes: frozenset[Scope]
    credential_id: str

    def has(self, scope: Scope) -> bool:
        """Whether the credential allows it."""
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def require(self, scope: Scope) -> None:
        """Raise `Forbidden` naming what is missing."""
        if not self.has(scope):
            raise Forbidden(
                f"this needs the scope {scope.value!r}; the credential has "
                f"{', '.join(sorted(self.scopes)) or 'none'}"
            )

    def narrowed(self, scopes: Iterable[Scope]) -> Principal:
        """The same principal with at most these scopes."""
        wanted = frozenset(scopes)
        kept = wanted if Scope.ADMIN in self.scopes else self.scopes & wanted
        return Principal(self.name, kept, self.credential_id)
