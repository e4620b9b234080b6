"""Credentials in memory: three tokens, a small budget of failures, tickets without a clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gateway.core.errors import RateLimited, Unauthenticated
from gateway.identity.principal import Principal, Scope

OPERATOR_TOKEN = "operator-token-of-the-tests-0123456789"
CHAT_TOKEN = "chat-token-of-the-tests-0123456789abcdef"
READ_TOKEN = "read-token-of-the-tests-0123456789abcdef"

PRINCIPALS: Mapping[str, Principal] = {
    OPERATOR_TOKEN: Principal("operator", frozenset(Scope), "k_operator"),
    CHAT_TOKEN: Principal("ann", frozenset({Scope.CHAT}), "k_ann"),
    READ_TOKEN: Principal("eye", frozenset({Scope.READ}), "k_eye"),
}


class Kept:
    """A token file in memory, shared by the gateways of one home."""

    def __init__(self, token: str = "") -> None:
        self.token = token

    def read(self) -> str:
        return self.token

    def keep(self, token: str) -> bool:
        if self.token:
            return False
        self.token = token
        return True

    def drop(self) -> None:
        self.token = ""


class MemoryCredentials:
    """What `gateway.http.ports.Credentials` asks for; an address never regains a failure."""

    def __init__(self, *, failures: int = 50) -> None:
        self._principals = dict(PRINCIPALS)
        self._bound = failures
        self._failures: dict[str, int] = {}
        self._tickets: dict[str, tuple[Principal, str]] = {}
        self._issued = 0
        self._callbacks: list[Callable[[str], None]] = []
        self.asked = 0

    async def authenticate(self, token: str, address: str) -> Principal:
        self.asked += 1
        principal = self._principals.get(token)
        if principal is None:
            if self._failures.get(address, 0) >= self._bound:
                raise RateLimited("too many wrong tokens", retry_after_ms=1500)
            self._failures[address] = self._failures.get(address, 0) + 1
            raise Unauthenticated("the token is missing, unknown or revoked")
        return principal

    def issue_ticket(self, principal: Principal, origin: str) -> str:
        self._issued += 1
        ticket = f"ticket-{self._issued}"
        self._tickets[ticket] = (principal, origin)
        return ticket

    def redeem_ticket(self, ticket: str, origin: str) -> Principal:
        principal, bound_to = self._tickets.pop(ticket, (None, ""))
        if principal is None or bound_to != origin:
            raise Unauthenticated("the ticket is unknown, used or too old")
        return principal

    def on_revoked(self, callback: Callable[[str], None]) -> None:
        self._callbacks.append(callback)

    def revoke(self, token: str) -> None:
        """End a credential, as an operator would."""
        principal = self._principals.pop(token)
        for callback in self._callbacks:
            callback(principal.credential_id)
