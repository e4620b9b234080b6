"""Every example of the documentation, called on a real gateway: the answer is as shown.

Ids, times and numbers are the day's; members, kinds of values and words are the example's.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import orjson
import pytest

from agents.models.scripted import Rule
from gateway.core.errors import DeliveryPermanent
from gateway.identity.principal import Scope
from gateway.rpc.catalog import METHODS
from tests.unit.gateway.rpc.talk import ADMIN, ALICE, Refusal, World, open_world
from tests.unit.gateway.rpc.tasks import Office

ORDER = (
    *("events.subscribe", "bindings.set", "sessions.label"),
    *("agents.register", "agents.remove", "bindings.remove", "rpc.off", "events.unsubscribe"),
    *("deliveries.retry", "deliveries.purge", "turns.cancel", "runs.cancel", "runs.retry"),
    *("sessions.compact", "sessions.rewind", "sessions.reset", "sessions.delete"),
)
"""The first three come first, because others look at what they do; the rest comes last."""
TOKEN = "tg_3f9d2c41b8e7460fa5d1c09e"
TURN = "t_019bb1c5d7c0a1b2c3d4e5f60718"
QUEUED_TURN = "t_019bb1c5d7ffa1b2c3d4e5f60719"
RUNNING_TURN = "t_019bb1c5d8f0a1b2c3d4e5f6071e"
DEAD_DELIVERY = "d_019bb1c5d80ba1b2c3d4e5f6071b"
RUN = "r_019bb1c5d80da1b2c3d4e5f60720"
PARKED_RUN = "r_019bb1c5d80da1b2c3d4e5f60721"
UNSURE_RUN = "r_019bb1c5d80da1b2c3d4e5f60722"
FAILED_RUN = "r_019bb1c5d80da1b2c3d4e5f60723"
SUBSCRIPTION = "s_019bb1c5d80ca1b2c3d4e5f6071c"
"""What the examples call what is made here."""
OPEN_ENDED = frozenset(
    {"rpc.discover", "__listMethods", "runs.steps", "runs.export", "deliveries.stats"}
)
"""Of these results only a part is shown."""
OF_THE_DAY = frozenset({"version", "next_cursor", "file", "text", "token"})
"""Texts that depend on more than the example."""

_ID = re.compile(r"(?:\b|(?<=%2F))([a-z])_(?:[0-9a-f]{28}|\d+)\b")


def ordered() -> list[Any]:
    """All methods of the catalogue."""
    first, last = ORDER[:3], ORDER[3:]
    place = {name: -len(first) + n for n, name in enumerate(first)}
    place |= {name: 1 + n for n, name in enumerate(last)}
    return sorted(METHODS, key=lambda method: place.get(method.name, 0))


@pytest.mark.timeout(30)  # every method once
async def test_every_example_is_true(tmp_path: Path) -> None:
    """Called by a user or, where it needs more, by an admin."""
    rules = [
        Rule("^slow", "at last", latency_s=60),
        Rule("^User: ", "Two weeks in Portugal in May, by train, at most 1500 euros."),
    ]
    office = Office()
    tasks = {name: getattr(office, name) for name in ("report", "approval", "payment")}
    async with open_world(tmp_path, rules=rules, tasks=tasks) as world:
        names = await prepare(world) | await runs_of(office, world)
        user, admin = world.talk(ALICE), world.talk(ADMIN)
        await user.call("connect", client={"name": "notebook", "version": "1.0"})
        wrong: list[str] = []
        for method in ordered():
            operator = method.scope in (Scope.OPERATOR, Scope.ADMIN) or method.name == "status"
            talk = admin if operator else user
            params = real(method.example.params, names)
            if method.name == "sessions.compact":
                for text in ("portugal in may", "two weeks", "by train", "at most 1500 euros"):
                    await user.call("send", text=f"{text}, {'and so on, ' * 20}", peer_id="plans")
            try:
                result = await talk.call(method.name, **params)
            except Refusal as refusal:
                wrong.append(f"{method.name}: {refusal}")
                continue
            if method.name == "events.subscribe":
                names[SUBSCRIPTION] = result["subscription"]
            partial = method.name.replace("delivery.", "deliveries.") in OPEN_ENDED
            wrong += differences(method.name, method.example.result, result, partial=partial)
        assert not wrong, "\n".join(wrong)


async def prepare(world: World) -> dict[str, str]:
    """What the examples speak of, by the names they give it."""
    talk, admin = world.talk(ALICE), world.talk(ADMIN)
    await talk.call("sessions.list")
    running = (await talk.call("turns.start", text="slow", peer_id="other"))["turn_id"]
    queued = (await talk.call("turns.start", text="later", peer_id="other"))["turn_id"]
    await world.clock.advance(1)
    turn = (await talk.call("send", text="good morning", peer_id="notes"))["turn_id"]
    world.memory.fail_next(DeliveryPermanent("there is no such chat"))
    await admin.call("send", text="good morning", channel="memory", peer_id="42")
    await world.gateway.outbox.drained()
    (dead,) = (await admin.call("deliveries.list", state="dead"))["deliveries"]
    for done in (talk, admin):
        await done.session.close()
    return {
        TOKEN: "the-token-of-alice",
        TURN: turn,
        RUNNING_TURN: running,
        QUEUED_TURN: queued,
        DEAD_DELIVERY: dead["delivery_id"],
    }


async def runs_of(office: Office, world: World) -> dict[str, str]:
    """Runs in every state the examples speak of."""
    admin = world.talk(ADMIN)

    async def started(task: str) -> str:
        run = (await admin.call("runs.start", task=task))["run_id"]
        await world.settled()
        return str(run)

    names = {RUN: await started("report"), PARKED_RUN: await started("approval")}
    office.down = True
    names[FAILED_RUN] = await started("report")
    names[UNSURE_RUN] = await started("payment")
    office.down = False
    await admin.call("runs.resume", run_id=names[UNSURE_RUN])
    await world.settled()
    await admin.session.close()
    return names


def real(value: Any, names: dict[str, str]) -> Any:
    """The example with the names of the day."""
    text = orjson.dumps(value).decode()
    for shown, name in names.items():
        text = text.replace(shown, name)
    return orjson.loads(text)


def differences(path: str, shown: Any, actual: Any, *, partial: bool) -> list[str]:
    """Where a result is not as its example; of lists the first item is looked at."""
    if type(shown) is not type(actual) and {type(shown), type(actual)} != {int, float}:
        return [f"{path}: shown {shown!r}, really {actual!r}"]
    match shown:
        case dict():
            missing = shown.keys() - actual.keys()
            more = set() if partial else actual.keys() - shown.keys()
            found = [f"{path}.{name}: not really there" for name in missing]
            found += [f"{path}.{name}: not shown" for name in more]
            for name in shown.keys() & actual.keys() - OF_THE_DAY:
                found += differences(f"{path}.{name}", shown[name], actual[name], partial=partial)
            return found
        case [first, *_]:
            if not actual:
                return [f"{path}: really empty"]
            return differences(f"{path}[0]", first, actual[0], partial=partial)
        case str():
            same = _ID.sub(r"\1_#", shown) == _ID.sub(r"\1_#", actual)
            return [] if same else [f"{path}: shown {shown!r}, really {actual!r}"]
    return []
