"""Credentials on a real store: strength, guessing, revocation, tickets, restart."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.core.clock import ManualClock
from gateway.core.errors import (
    ConfigError,
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    RateLimited,
    Unauthenticated,
)
from gateway.core.ids import SequentialIds, SystemIds
from gateway.identity.credentials import (
    FAILURES,
    MAX_TICKETS,
    OPERATOR,
    TICKET_S,
    TICKETS_EACH,
    Credentials,
)
from gateway.identity.principal import Principal, Scope
from gateway.store.base.credentials import ListCredentials
from gateway.store.base.query import Query, Row
from gateway.store.base.store import Store
from gateway.store.sqlite.store import open_sqlite
from tests.support.credentials import Kept
from tests.support.cutting import CuttableStore

PRESET = "a-preset-token-of-32-characters!"
ADMIN = Principal("admin", frozenset({Scope.ADMIN}), "k_0")


@pytest.fixture
async def credentials(store: Store, clock: ManualClock) -> Credentials:
    made = Credentials(store, clock, SequentialIds())
    await made.open(Kept(), preset=PRESET)
    return made


class Slow(CuttableStore):
    """A store whose reads all come before the first write of gateways that start together."""

    def __init__(self, store: Store, starters: int) -> None:
        super().__init__(store)
        self._together = asyncio.Barrier(starters)
        self._left = starters

    async def read(self, query: Query[Row]) -> list[Row]:
        found = await super().read(query)
        if self._left:
            self._left -= 1
            await self._together.wait()
        return found


async def start_together(
    store: Store, clock: ManualClock, *starts: tuple[Kept, str]
) -> list[object]:
    """The tokens of gateways that look at one moment, or the errors they ended with."""
    slow = Slow(store, len(starts))
    ids = SystemIds(clock)

    async def start(kept: Kept, preset: str) -> str:
        made = Credentials(slow, clock, ids)
        await made.open(kept, preset=preset, alone=False)
        token = preset or kept.token
        assert (await made.authenticate(token, "a")).name == OPERATOR
        return token

    return list(await asyncio.gather(*(start(*each) for each in starts), return_exceptions=True))


async def test_gateways_that_start_together_with_one_preset_token_all_start(
    store: Store, clock: ManualClock
) -> None:
    """Each has seen none, one is quicker, and the others look again."""
    assert await start_together(store, clock, *[(Kept(), PRESET)] * 3) == [PRESET] * 3


async def test_gateways_that_start_together_on_one_home_go_by_one_token(
    store: Store, clock: ManualClock
) -> None:
    """The first to keep one decides which."""
    home = Kept()
    assert await start_together(store, clock, *[(home, "")] * 3) == [home.token] * 3


async def test_of_homes_that_start_together_one_makes_the_token_and_the_others_say_so(
    store: Store, clock: ManualClock
) -> None:
    """And keep none that opens nothing."""
    homes = [Kept() for _ in range(3)]
    found = await start_together(store, clock, *[(home, "") for home in homes])
    assert sum(isinstance(each, ConfigError) for each in found) == 2
    assert [each for each in found if isinstance(each, str)] == [
        home.token for home in homes if home.token
    ]


async def test_different_preset_tokens_replace_each_other_and_one_is_left(
    store: Store, clock: ManualClock
) -> None:
    presets = [f"{PRESET}-{number}" for number in "abc"]
    found = await start_together(store, clock, *[(Kept(), preset) for preset in presets])
    assert not any(isinstance(each, Conflict) for each in found)
    valid = [row for row in await store.read(ListCredentials()) if row.revoked_at is None]
    assert [row.name for row in valid] == [OPERATOR]


async def test_the_first_start_makes_an_operator_and_keeps_its_token(
    store: Store, clock: ManualClock
) -> None:
    """Nobody is let in without a token, so there has to be one."""
    kept = Kept()
    first = Credentials(store, clock, SystemIds(clock))
    await first.open(kept)
    token = kept.token
    operator = await first.authenticate(token, "a")
    assert (operator.name, operator.has(Scope.ADMIN)) == (OPERATOR, True)
    await Credentials(store, clock, SystemIds(clock)).open(kept)
    assert kept.token == token


async def test_a_start_that_was_killed_between_file_and_store_is_gone_on_with(
    store: Store, clock: ManualClock
) -> None:
    """The file has a token then that the store does not know."""
    kept = Kept(SystemIds(clock).secret())
    token = kept.token
    again = Credentials(store, clock, SystemIds(clock))
    await again.open(kept)
    assert kept.token == token
    assert (await again.authenticate(token, "a")).name == OPERATOR


async def test_a_revoked_token_does_not_come_back(store: Store, clock: ManualClock) -> None:
    """Neither from the file, where another is made, nor from the settings, where that is said."""
    kept = Kept()
    first = Credentials(store, clock, SystemIds(clock))
    await first.open(kept)
    former = kept.token
    await first.revoke(OPERATOR)
    with pytest.raises(ConfigError, match="was revoked"):
        await Credentials(store, clock, SystemIds(clock)).open(Kept(), preset=former)
    again = Credentials(store, clock, SystemIds(clock))
    await again.open(kept)
    assert kept.token != former
    with pytest.raises(Unauthenticated):
        await again.authenticate(former, "a")


async def test_a_start_does_not_end_the_token_other_gateways_go_by(
    store: Store, clock: ManualClock
) -> None:
    """A second machine on one database has no token file, and must not lock the first one out."""
    kept = Kept()
    await Credentials(store, clock, SystemIds(clock)).open(kept, alone=False)
    with pytest.raises(ConfigError, match="TURNGATE_TOKEN"):
        await Credentials(store, clock, SystemIds(clock)).open(Kept(), alone=False)
    again = Credentials(store, clock, SystemIds(clock))
    await again.open(kept, alone=False)
    assert (await again.authenticate(kept.token, "a")).name == OPERATOR


async def test_the_secret_is_not_in_the_store(credentials: Credentials, store: Store) -> None:
    """A stolen database opens nothing."""
    _, token = await credentials.create("bot", [Scope.CHAT], by=ADMIN)
    rows = await store.read(ListCredentials())
    assert not any(secret in str(rows) for secret in (token, PRESET))


@pytest.mark.parametrize(
    "weak",
    [
        "short",
        "x" * 40,
        "secret" * 5,
        "31415926535897932384626433832795",
        "Passw0rd-for-me" * 2,
        "abcdefghijklmnopqrstuvwxyz0123456789",
        "0123456789abcdefghijklmnop",
        f"{secrets.token_urlsafe(400)}",
    ],
)
async def test_a_weak_preset_token_is_refused_with_a_way_to_make_a_better_one(
    store: Store, clock: ManualClock, weak: str
) -> None:
    """A guessable token is worse than none: it looks safe."""
    with pytest.raises(ConfigError, match=r"TURNGATE_TOKEN.*secrets"):
        await Credentials(store, clock, SequentialIds()).open(Kept(), preset=weak)


@pytest.mark.parametrize(
    "make",
    [
        lambda: secrets.token_urlsafe(32),
        lambda: secrets.token_hex(32),
        SystemIds(ManualClock()).secret,
        lambda: "seven turtles sing at noon, quietly",
    ],
)
async def test_a_long_and_varied_token_is_taken(
    store: Store, clock: ManualClock, make: Callable[[], str]
) -> None:
    """The seldom token of a machine that is refused by chance costs another try."""
    taken = 0
    for _ in range(100):
        with suppress(ConfigError):
            await Credentials(store, clock, SystemIds(clock)).open(Kept(), preset=make())
            taken += 1
    assert taken >= 95


async def test_another_preset_token_replaces_the_operators(
    credentials: Credentials, store: Store, clock: ManualClock
) -> None:
    """Rotation is changing the setting: the former token is over."""
    fresh = "another-preset-token-0123456789"
    again = Credentials(store, clock, SystemIds(clock))
    await again.open(Kept(), preset=fresh)
    assert (await again.authenticate(fresh, "a")).name == OPERATOR
    with pytest.raises(Unauthenticated):
        await again.authenticate(PRESET, "a")


@pytest.mark.parametrize("token", ["", "wrong", "ä" * 30, "\ud800", "x" * 100_000, f"{PRESET} "])
async def test_every_wrong_token_gets_the_same_answer(credentials: Credentials, token: str) -> None:
    """Non-ASCII, lone surrogates and huge texts are wrong tokens, not crashes."""
    with pytest.raises(Unauthenticated) as refusal:
        await credentials.authenticate(token, "a")
    assert str(refusal.value) == "the token is missing, unknown or revoked"


async def test_guessing_is_slowed_down_per_address(
    credentials: Credentials, clock: ManualClock
) -> None:
    """This machine's, too; time gives the budget back."""
    for _ in range(int(FAILURES.burst)):
        with pytest.raises(Unauthenticated):
            await credentials.authenticate("wrong", "127.0.0.1")
    with pytest.raises(RateLimited) as refusal:
        await credentials.authenticate("wrong", "127.0.0.1")
    assert refusal.value.retry_after_ms == 2000
    with pytest.raises(Unauthenticated):
        await credentials.authenticate("wrong", "10.0.0.7")
    await clock.advance(2)
    with pytest.raises(Unauthenticated):
        await credentials.authenticate("wrong", "127.0.0.1")


async def test_wrong_tokens_lock_nobody_out_who_has_a_valid_one(credentials: Credentials) -> None:
    """Not behind the same proxy, and not when they come from everywhere."""
    _, made = await credentials.create("bot", [Scope.CHAT], by=ADMIN)
    for number in range(1000):
        with pytest.raises((Unauthenticated, RateLimited)):
            await credentials.authenticate("wrong", f"10.0.{number % 4}.{number % 250}")
    with pytest.raises(RateLimited):
        await credentials.authenticate("wrong", "10.0.0.1")
    for token, name in ((PRESET, OPERATOR), (made, "bot")):
        for address in ("10.0.0.1", "10.9.9.9"):
            assert (await credentials.authenticate(token, address)).name == name


async def test_an_ipv6_network_has_five_addresses_worth_of_guesses(
    credentials: Credentials,
) -> None:
    """One household has 2**64 addresses: without a bound it would use up the budget of all."""
    assert await slowed(credentials, [f"2001:db8::{n:x}" for n in range(1000)]) == 900
    await credentials.authenticate(PRESET, "2001:db8:0:1::1")


async def test_a_guessing_machine_does_not_slow_its_ipv6_neighbours(
    credentials: Credentials,
) -> None:
    assert await slowed(credentials, ["2001:db8::7"] * 25) == 5
    assert await slowed(credentials, ["2001:db8::8"]) == 0


async def test_guessing_from_everywhere_is_slowed_down_too(credentials: Credentials) -> None:
    """A botnet has many addresses and one target."""
    everywhere = [f"10.0.{n // 256}.{n % 256}" for n in range(1000)]
    assert await slowed(credentials, everywhere) == 600


async def slowed(credentials: Credentials, addresses: Sequence[str]) -> int:
    """How many wrong tokens, one from each address, were not even told what they are."""
    count = 0
    for address in addresses:
        with pytest.raises((RateLimited, Unauthenticated)) as refusal:
            await credentials.authenticate("wrong", address)
        count += refusal.type is RateLimited
    return count


async def test_a_credential_made_here_is_known_after_a_restart(
    store: Store, clock: ManualClock, credentials: Credentials
) -> None:
    """Scopes come from the record, whoever reads it."""
    _, token = await credentials.create("bot", [Scope.CHAT, Scope.READ], by=ADMIN)
    again = Credentials(store, clock, SystemIds(clock))
    await again.open(Kept(), preset=PRESET)
    assert (await again.authenticate(token, "a")).scopes == {Scope.CHAT, Scope.READ}


async def test_nobody_gives_a_scope_he_does_not_have(credentials: Credentials) -> None:
    """A new credential is at most its maker."""
    maker = Principal("op", frozenset({Scope.OPERATOR}), "k_9")
    with pytest.raises(Forbidden):
        await credentials.create("more", [Scope.ADMIN], by=maker)
    made, _ = await credentials.create("same", [Scope.OPERATOR], by=maker)
    assert made.scopes == {Scope.OPERATOR}


async def test_names_are_checked_and_unique_among_the_valid(credentials: Credentials) -> None:
    """A revoked one frees its name."""
    for name in ("", "a b", "x" * 65, "a/../b"):
        with pytest.raises(InvalidInput):
            await credentials.create(name, [Scope.READ], by=ADMIN)
    with pytest.raises(InvalidInput, match="at least one scope"):
        await credentials.create("none", [], by=ADMIN)
    await credentials.create("bot", [Scope.READ], by=ADMIN)
    with pytest.raises(Conflict, match="turngate token revoke bot"):
        await credentials.create("bot", [Scope.READ], by=ADMIN)
    await credentials.revoke("bot")
    await credentials.create("bot", [Scope.READ], by=ADMIN)


async def test_a_revoked_credential_is_over_at_once_and_whoever_listens_is_told(
    credentials: Credentials,
) -> None:
    """Live connections hang on that call."""
    made, token = await credentials.create("bot", [Scope.READ], by=ADMIN)
    told: list[str] = []
    credentials.on_revoked(told.append)
    assert (await credentials.revoke(made.credential_id)).revoked_at is not None
    assert told == [made.credential_id]
    with pytest.raises(Unauthenticated):
        await credentials.authenticate(token, "a")
    with pytest.raises(NotFound):
        await credentials.revoke("bot")
    listed = {credential.name: credential for credential in await credentials.list()}
    assert listed["bot"].revoked_at is not None


async def test_a_ticket_works_once_from_its_page_and_not_for_long(
    credentials: Credentials, clock: ManualClock
) -> None:
    """What may appear in a URL must be worthless a moment later."""
    page = "http://127.0.0.1:8765"
    ticket = credentials.issue_ticket(await credentials.authenticate(PRESET, "a"), page)
    assert credentials.redeem_ticket(ticket, page).name == OPERATOR
    late = credentials.issue_ticket(ADMIN, page)
    foreign = credentials.issue_ticket(ADMIN, page)
    with pytest.raises(Unauthenticated):
        credentials.redeem_ticket(ticket, page)
    with pytest.raises(Unauthenticated):
        credentials.redeem_ticket(foreign, "http://evil.test")
    with pytest.raises(Unauthenticated):
        credentials.redeem_ticket(foreign, page)
    await clock.advance(TICKET_S)
    with pytest.raises(Unauthenticated):
        credentials.redeem_ticket(late, page)


async def test_a_ticket_dies_with_its_credential(credentials: Credentials) -> None:
    """Revoking leaves no way in that is already under way."""
    made, token = await credentials.create("bot", [Scope.READ], by=ADMIN)
    ticket = credentials.issue_ticket(await credentials.authenticate(token, "a"), "o")
    await credentials.revoke(made.name)
    with pytest.raises(Unauthenticated, match="revoked"):
        credentials.redeem_ticket(ticket, "o")


async def test_unused_tickets_are_bounded(credentials: Credentials, clock: ManualClock) -> None:
    """Those of one credential sooner than all: nobody keeps the pages of others out."""
    for number in range(MAX_TICKETS):
        several = replace(ADMIN, credential_id=f"k{number // TICKETS_EACH}")
        credentials.issue_ticket(several, "o")
        if number == TICKETS_EACH:
            with pytest.raises(RateLimited):
                credentials.issue_ticket(replace(ADMIN, credential_id="k0"), "o")
    with pytest.raises(RateLimited):
        credentials.issue_ticket(replace(ADMIN, credential_id="another"), "o")
    await clock.advance(TICKET_S)
    credentials.issue_ticket(ADMIN, "o")


async def test_the_database_file_of_credentials_is_readable_by_its_owner_only(
    tmp_path: Path,
) -> None:
    """Hashes are no secrets, and still nobody's business."""
    store = await open_sqlite(tmp_path / "t.db")
    await Credentials(store, ManualClock(), SequentialIds()).open(Kept(), preset=PRESET)
    await store.close()
    assert (tmp_path / "t.db").stat().st_mode & 0o077 == 0
