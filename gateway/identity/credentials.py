"""Credentials: made once, shown once, compared in constant time, revoked immediately.

The table in memory is the one in the store, changed together with it. A valid token is let in
regardless of other clients: addresses are shared by offices and proxies, and who shares one with an
attacker is not locked out. So tokens cannot be guessed at any speed: 256 bits where they are made
here, and long and varied in the settings. Wrong ones are slowed down all the same, for all, this
machine included: they cost time and lines of the log.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import NoReturn

from gateway.core.addresses import counted_as
from gateway.core.clock import Clock
from gateway.core.errors import (
    ConfigError,
    Conflict,
    InvalidInput,
    NotFound,
    RateLimited,
    StoreUnavailable,
    Unauthenticated,
)
from gateway.core.ids import Ids
from gateway.identity.budget import Budget, Rate
from gateway.identity.principal import Principal, Scope
from gateway.identity.token_file import KeptToken
from gateway.identity.token_strength import MAX_TOKEN_CHARS, check_strength, is_strong
from gateway.store.base.credentials import (
    CredentialRow,
    ListCredentials,
    PutCredential,
    RevokeCredential,
)
from gateway.store.base.store import Durability, Store, Unit

FAILURES = Rate(burst=20, per_s=0.5)
"""Wrong tokens of one address that are answered as wrong: a mistyped one is forgiven. Past it a
client that goes on without looking learns to wait."""
NETWORK_FAILURES = Rate(burst=100, per_s=2.5)
"""The same for an IPv6 network of 64 bits, which one household has: five addresses' worth, so that
a machine that guesses does not slow its neighbours down, and 2**64 addresses gain little."""
ALL_FAILURES = Rate(burst=400, per_s=10)
"""The same for everybody together."""
TICKET_S = 30.0
"""How long a browser has to turn its ticket into a connection."""
MAX_TICKETS = 1000
TICKETS_EACH = 100
"""Tickets of one credential: it cannot keep the pages of others out."""
OPEN_TRIES = 20
"""How often a start looks again after another gateway was quicker; each of them is so once."""
OPERATOR = "operator"
"""Name of the credential a gateway makes for whoever started it."""

_EVERYBODY = "everybody"
_REFUSED = "the token is missing, unknown or revoked"


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential as it may be shown: nothing here opens anything."""

    credential_id: str
    name: str
    scopes: frozenset[Scope]
    created_at: int
    revoked_at: int | None


@dataclass(frozen=True, slots=True)
class _Ticket:
    principal: Principal
    origin: str
    until: float


class Credentials:
    """Who may come in."""

    def __init__(self, store: Store, clock: Clock, ids: Ids) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._valid: dict[bytes, Principal] = {}
        self._failures = Budget(FAILURES)
        self._network_failures = Budget(NETWORK_FAILURES)
        self._all_failures = Budget(ALL_FAILURES)
        self._tickets: dict[str, _Ticket] = {}
        self._on_revoked: list[Callable[[str], None]] = []

    async def open(self, kept: KeptToken, *, preset: str = "", alone: bool = True) -> None:
        """Load what there is and make sure an operator can come in.

        `preset` is the operator's token from the settings; without it the token is the one in
        `kept`, or one that is made and kept there. Several gateways may do this on one store at the
        same moment: what another one was quicker with is read again. Raises `ConfigError` for a
        preset that is too weak or was revoked, and when a token would be replaced that other
        gateways of the store (`alone` is false) go by.
        """
        if preset:
            check_strength(preset)
        for _ in range(OPEN_TRIES):
            if await self._opened(kept, preset, alone=alone):
                return
        raise StoreUnavailable(
            "other gateways on this database keep replacing the operator's token: give all of them "
            "the same TURNGATE_TOKEN"
        )

    async def _opened(self, kept: KeptToken, preset: str, *, alone: bool) -> bool:
        """One look at what there is, and the write that follows; False when it came too late."""
        rows = await self._store.read(ListCredentials())
        self._valid = {}
        for row in rows:
            if row.revoked_at is None:
                self._remember(row)
        revoked = {row.token_hash for row in rows if row.revoked_at is not None}
        if preset:
            return await self._preset(preset, revoked)
        made = any(principal.name == OPERATOR for principal in self._valid.values())
        token = kept.read()
        if made and token:
            return True
        if made and not alone:
            raise ConfigError(
                "the database already has an operator's token, and it is not in this gateway's"
                " home: set TURNGATE_TOKEN to one of yours in all gateways that share the database,"
                " or copy the file `token` from the home of the first one"
            )
        if not is_strong(token) or _digest(token).hex() in revoked:
            # Kept before the store has it: a gateway that starts beside this one on the same home
            # takes up the same token, and so does the next start after a crash in between.
            kept.drop()
            token = self._ids.secret()
            if not kept.keep(token):
                return False
        if await self._replace_operator(token):
            return True
        if not await self._is_valid(token):
            kept.drop()  # a gateway of another home was quicker, and its token is the one
        return False

    async def _is_valid(self, token: str) -> bool:
        rows = await self._store.read(ListCredentials())
        known = _digest(token).hex()
        return any(row.token_hash == known and row.revoked_at is None for row in rows)

    async def _preset(self, token: str, revoked: set[str]) -> bool:
        if _digest(token) in self._valid:
            return True
        if _digest(token).hex() in revoked:
            raise ConfigError(
                "TURNGATE_TOKEN is a token that was revoked or replaced before: take a new one"
            )
        return await self._replace_operator(token)

    async def refresh(self) -> None:
        """Learn what other processes have made and revoked; raises `StoreUnavailable`."""
        known = {principal.credential_id for principal in self._valid.values()}
        for row in await self._store.read(ListCredentials()):
            if row.revoked_at is not None and row.credential_id in known:
                self._forget(row.credential_id)
            elif row.revoked_at is None and row.credential_id not in known:
                self._remember(row)

    async def authenticate(self, token: str, address: str) -> Principal:
        """Whose token it is.

        A wrong one raises `Unauthenticated`, always with the same words, or `RateLimited` after too
        many from this address or from everywhere.
        """
        given = _digest(token[: MAX_TOKEN_CHARS + 1])
        found: Principal | None = None
        for known, principal in self._valid.items():
            # Every one is compared: how long it takes does not tell which came close.
            if hmac.compare_digest(known, given):
                found = principal
        if found is None:
            self._refuse(address)
        return found

    async def create(
        self, name: str, scopes: Iterable[Scope], *, by: Principal
    ) -> tuple[Credential, str]:
        """A new credential and its token, which is not kept.

        The maker cannot give what it does not have. Raises `Forbidden`, `InvalidInput`, or
        `Conflict` when the name is in use.
        """
        wanted = frozenset(scopes)
        if not name or len(name) > 64 or not name.replace("-", "").replace("_", "").isalnum():
            raise InvalidInput(
                f"a credential's name has 1 to 64 letters, digits, - or _; got {name!r}"
            )
        if not wanted:
            raise InvalidInput("a credential needs at least one scope")
        for scope in wanted:
            by.require(scope)
        token = self._ids.secret()
        try:
            return await self._put(name, wanted, token), token
        except Conflict as error:
            raise Conflict(
                f"there is a credential {name!r}; take another name, or end that one: "
                f"turngate token revoke {name}"
            ) from error

    async def revoke(self, name_or_id: str) -> Credential:
        """End a credential; who is connected with it is told at once. Raises `NotFound`."""
        for credential in await self.list():
            if credential.revoked_at is None and name_or_id in (
                credential.name,
                credential.credential_id,
            ):
                now = self._clock.now_ms()
                op = RevokeCredential(credential.credential_id, now)
                await self._store.commit(Unit((op,), durability=Durability.CRITICAL))
                self._forget(credential.credential_id)
                return replace(credential, revoked_at=now)
        raise NotFound(f"there is no valid credential {name_or_id!r}")

    async def list(self) -> list[Credential]:
        """All credentials, oldest first."""
        return [
            Credential(
                row.credential_id, row.name, _scopes(row.scopes), row.created_at, row.revoked_at
            )
            for row in await self._store.read(ListCredentials())
        ]

    def on_revoked(self, callback: Callable[[str], None]) -> None:
        """Call with the id of each credential that is revoked from now on."""
        self._on_revoked.append(callback)

    def issue_ticket(self, principal: Principal, origin: str) -> str:
        """A one-time stand-in for a token, for browsers, which cannot send headers on a socket."""
        now = self._clock.monotonic()
        self._tickets = {
            text: ticket for text, ticket in self._tickets.items() if ticket.until > now
        }
        credential = principal.credential_id
        own = sum(each.principal.credential_id == credential for each in self._tickets.values())
        if own >= TICKETS_EACH or len(self._tickets) >= MAX_TICKETS:
            raise RateLimited(
                "too many tickets are waiting to be used", retry_after_ms=round(TICKET_S * 1000)
            )
        text = self._ids.secret()
        self._tickets[text] = _Ticket(principal, origin, now + TICKET_S)
        return text

    def redeem_ticket(self, ticket: str, origin: str) -> Principal:
        """Whose ticket it is; it works once, from the page it was given to."""
        found = self._tickets.pop(ticket, None)
        alive = found is not None and found.until > self._clock.monotonic()
        if found is None or not alive or found.origin != origin:
            raise Unauthenticated("the ticket is unknown, used or too old; fetch a new one")
        if all(found.principal.credential_id != p.credential_id for p in self._valid.values()):
            raise Unauthenticated("the credential behind the ticket was revoked")
        return found.principal

    def _refuse(self, address: str) -> NoReturn:
        """Answer a wrong token: `Unauthenticated`, or `RateLimited` after too many."""
        now = self._clock.monotonic()
        budgets = (
            (self._failures, address),
            (self._network_failures, counted_as(address)),
            (self._all_failures, _EVERYBODY),
        )
        wait = max(budget.wait_s(name, now) for budget, name in budgets)
        if wait > 0:
            raise RateLimited(
                "too many wrong tokens; wait before the next try", retry_after_ms=round(wait * 1000)
            )
        for budget, name in budgets:
            budget.charge(name, now)
        raise Unauthenticated(_REFUSED)

    async def _replace_operator(self, token: str) -> bool:
        """In one unit, so that there is one at every moment; False when others were quicker."""
        now = self._clock.now_ms()
        former = [
            principal.credential_id
            for principal in self._valid.values()
            if principal.name == OPERATOR
        ]
        ending = [RevokeCredential(credential_id, now) for credential_id in former]
        try:
            await self._put(OPERATOR, frozenset(Scope), token, *ending)
        except (Conflict, NotFound):
            return False
        for credential_id in former:
            self._forget(credential_id)
        return True

    async def _put(
        self, name: str, scopes: frozenset[Scope], token: str, *first: RevokeCredential
    ) -> Credential:
        now = self._clock.now_ms()
        row = CredentialRow(
            self._ids.new("k"), name, _digest(token).hex(), ",".join(sorted(scopes)), now, None
        )
        op = PutCredential(row.credential_id, name, row.token_hash, row.scopes, now)
        await self._store.commit(Unit((*first, op), durability=Durability.CRITICAL))
        self._remember(row)
        return Credential(row.credential_id, name, scopes, now, None)

    def _remember(self, row: CredentialRow) -> None:
        principal = Principal(row.name, _scopes(row.scopes), row.credential_id)
        self._valid[bytes.fromhex(row.token_hash)] = principal

    def _forget(self, credential_id: str) -> None:
        self._valid = {
            digest: principal
            for digest, principal in self._valid.items()
            if principal.credential_id != credential_id
        }
        for callback in self._on_revoked:
            callback(credential_id)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", errors="surrogatepass")).digest()


def _scopes(text: str) -> frozenset[Scope]:
    return frozenset(Scope(word) for word in text.split(","))
