"""Runs of declared tasks, and the hand operators have in them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from gateway.events.kinds import Kind
from gateway.store.base.events import ReadEvents
from tests.unit.gateway.rpc.talk import ALICE, OPERATOR, Refusal, Talk, World, open_world
from tests.unit.gateway.rpc.tasks import Office


@pytest.fixture
def office() -> Office:
    return Office()


@pytest.fixture
async def world(tmp_path: Path, office: Office) -> AsyncIterator[World]:
    names = ("report", "approval", "payment", "volume", "translation")
    tasks = {name: getattr(office, name) for name in names}
    async with open_world(tmp_path, tasks=tasks) as world:
        yield world


async def started(world: World, talk: Talk, task: str, **params: object) -> str:
    """A run of a task that has gone as far as it can."""
    run = (await talk.call("runs.start", task=task, **params))["run_id"]
    await world.settled()
    await world.idle()
    return str(run)


async def status(talk: Talk, run: str) -> str:
    return str((await talk.call("runs.get", run_id=run))["status"])


async def test_a_declared_task_is_started_and_belongs_to_who_started_it(world: World) -> None:
    """Its run is like any other; a key makes starting it twice harmless."""
    talk = world.talk(OPERATOR)
    run = await started(world, talk, "report", input="ann", key="k1", tags={"of": "test"})
    shown = await talk.call("runs.get", run_id=run)
    assert (shown["status"], shown["task"], shown["principal"]) == ("completed", "report", "olga")
    assert shown["result"] == {"found": {"for": "ann"}, "text": "report 2"}
    assert (shown["root"], shown["tags"]) == (run, {"of": "test"})
    again = await talk.call("runs.start", task="report", input="ann", key="k1")
    assert again == {"run_id": run}
    with pytest.raises(Refusal, match="manifest_mismatch"):
        await talk.call("runs.start", task="report", input="bob", key="k1")
    with pytest.raises(Refusal, match=r"not_found.*declared: report, approval, payment"):
        await talk.call("runs.start", task="turn")
    listed = await talk.call("runs.list", task="report")
    assert [found["run_id"] for found in listed["runs"]] == [run]


async def test_a_task_says_what_it_used_and_how_good_it_was(world: World, office: Office) -> None:
    """Each attempt is paid; one that failed tells the next how far it came."""
    talk = world.talk(OPERATOR)
    run = await started(world, talk, "translation")
    shown = await talk.call("runs.get", run_id=run)
    assert (shown["status"], shown["result"], shown["outcome"]) == (
        "completed",
        "done",
        {"score": 0.9},
    )
    used = [{"model": "big", "calls": 2, "tokens_in": 200, "tokens_out": 40}]
    assert shown["costs"] == shown["root_costs"] == used
    assert office.done == ["after half"]


async def test_the_log_tells_of_a_run_to_operators_only(world: World) -> None:
    """Who started it, what became of it; its id stands where a turn's would."""
    talk = world.talk(OPERATOR)
    run = await started(world, talk, "approval")
    rows = await world.gateway.store.read(ReadEvents(0, 100))
    assert [row.kind for row in rows] == [Kind.RUN_STARTED, Kind.RUN_WAITING]
    assert all(row.turn_id == run for row in rows)
    assert (await talk.call("events.list"))["events"]
    assert not (await world.talk(ALICE).call("events.list"))["events"]


async def test_a_parked_run_gets_its_event_once(world: World) -> None:
    """The same again changes nothing, another payload is refused."""
    talk = world.talk(OPERATOR)
    run = await started(world, talk, "approval")
    shown = await talk.call("runs.get", run_id=run)
    assert (shown["status"], shown["reason"], shown["waits"]) == (
        "suspended",
        "approval",
        ["approved"],
    )
    for _ in range(2):
        await talk.call("runs.emit", run_id=run, key="approved", payload=1)
    with pytest.raises(Refusal, match="event_emit_race"):
        await talk.call("runs.emit", run_id=run, key="approved", payload=2)
    with pytest.raises(Refusal, match=r"invalid.*runs\.decide"):
        await talk.call("runs.emit", run_id=run, key="decision:0:1", payload=2)
    await world.settled()
    await world.idle()
    assert (await talk.call("runs.get", run_id=run))["result"] == 1


async def test_a_failed_run_goes_on_where_it_stopped(world: World, office: Office) -> None:
    """What it has is not done again."""
    talk = world.talk(OPERATOR)
    office.down = True
    run = await started(world, talk, "report")
    shown = await talk.call("runs.get", run_id=run)
    assert (shown["status"], shown["error"]) == ("failed", "internal")
    assert shown["outcome"]["note"].startswith("an unexpected error")
    office.down = False
    assert await talk.call("runs.resume", run_id=run) == {"run_id": run}
    await world.settled()
    await world.idle()
    assert await status(talk, run) == "completed"
    assert office.done == ["gather", "gather", "write"]
    with pytest.raises(Refusal, match="run_terminal"):
        await talk.call("runs.resume", run_id=run)


async def test_a_run_is_done_again_from_a_step(world: World, office: Office) -> None:
    """The same run; what comes before the step holds."""
    talk = world.talk(OPERATOR)
    run = await started(world, talk, "report")
    before = await talk.call("runs.steps", run_id=run)
    await talk.call("runs.retry", run_id=run, step="2")
    await world.settled()
    await world.idle()
    after = await talk.call("runs.steps", run_id=run)
    assert after["steps"][:2] == before["steps"][:2]
    assert office.done == ["gather", "write", "write"]
    with pytest.raises(Refusal, match="not_found"):
        await talk.call("runs.retry", run_id=run, step="7")


async def test_a_fork_goes_its_own_way(world: World, office: Office) -> None:
    """It has the other's records up to the step, and its root's costs are the other's."""
    talk = world.talk(OPERATOR)
    run = await started(world, talk, "report", input="ann", tags={"of": "test"})
    copy = (await talk.call("runs.fork", run_id=run, step="2"))["run_id"]
    await world.settled()
    await world.idle()
    shown = await talk.call("runs.get", run_id=copy)
    assert (shown["status"], shown["origin"], shown["root"]) == ("completed", run, run)
    assert (shown["input"], shown["tags"]) == ("ann", {"of": "test"})
    assert office.done == ["gather", "write", "write"]
    whole = (await talk.call("runs.fork", run_id=run))["run_id"]
    await world.settled()
    await world.idle()
    assert (await talk.call("runs.get", run_id=whole))["result"] == shown["result"]
    assert office.done == ["gather", "write", "write"]


async def test_what_is_unsafe_is_repeated_only_if_somebody_says_so(
    world: World, office: Office
) -> None:
    """By retry or fork: the operator has to name it."""
    talk = world.talk(OPERATOR)
    run = await started(world, talk, "payment")
    for method in ("runs.retry", "runs.fork"):
        with pytest.raises(Refusal, match=r"conflict: .*repeat_unsafe"):
            await talk.call(method, run_id=run, step="0")
    assert office.done == ["pay"]
    await talk.call("runs.retry", run_id=run, step="0", repeat_unsafe=True)
    await world.settled()
    await world.idle()
    assert office.done == ["pay", "pay"]


@pytest.mark.parametrize(
    ("said", "result", "times"),
    [
        ({"decision": "ran", "result": "by hand"}, "by hand", 1),
        ({"decision": "skip"}, None, 1),
        ({"decision": "did_not_run"}, "paid", 2),
    ],
    ids=["ran", "skip", "did_not_run"],
)
async def test_an_operator_says_what_became_of_a_step(
    world: World, office: Office, said: dict[str, str], result: str | None, times: int
) -> None:
    """A failed unsafe step is in doubt too: it may have happened all the same."""
    talk = world.talk(OPERATOR)
    office.down = True
    run = await started(world, talk, "payment")
    with pytest.raises(Refusal, match="waits for no decision"):
        await talk.call("runs.decide", run_id=run, decision="ran")
    office.down = False
    await talk.call("runs.resume", run_id=run)
    await world.settled()
    await world.idle()
    shown = await talk.call("runs.get", run_id=run)
    assert (shown["status"], shown["reason"]) == ("suspended", "decision")
    with pytest.raises(Refusal, match="invalid: step: say which, one of 0"):
        await talk.call("runs.decide", run_id=run, decision="ran", step="3")
    assert await talk.call("runs.decide", run_id=run, **said) == {"run_id": run, "step": "0"}
    await world.settled()
    await world.idle()
    shown = await talk.call("runs.get", run_id=run)
    assert (shown["status"], shown["result"]) == ("completed", result)
    assert office.done == ["pay"] * times


async def test_a_run_travels_as_a_document(world: World, tmp_path: Path) -> None:
    """An ended one is as it was; an unfinished one waits to be resumed."""
    talk = world.talk(OPERATOR)
    ended = await started(world, talk, "report", input="ann")
    parked = await started(world, talk, "approval")
    documents = [
        (await talk.call("runs.export", run_id=run))["document"] for run in (ended, parked)
    ]
    with pytest.raises(Refusal, match="here already"):
        await talk.call("runs.import", document=documents[0])
    office = Office()
    tasks = {"report": office.report, "approval": office.approval}
    other_folder = tmp_path / "other"
    other_folder.mkdir()
    async with open_world(other_folder, tasks=tasks) as other:
        there = other.talk(OPERATOR)
        for document in documents:
            await there.call("runs.import", document=document)
        first = await there.call("runs.get", run_id=ended)
        assert (first["status"], first["result"]["text"]) == ("completed", "report 2")
        assert await there.call("runs.steps", run_id=ended) == await talk.call(
            "runs.steps", run_id=ended
        )
        second = await there.call("runs.get", run_id=parked)
        assert (second["status"], second["reason"]) == ("suspended", "imported")
        await there.call("runs.resume", run_id=parked)
        await there.call("runs.emit", run_id=parked, key="approved", payload="yes")
        await other.settled()
        await other.idle()
        assert (await there.call("runs.get", run_id=parked))["result"] == "yes"


async def test_a_document_longer_than_a_frame_travels_in_pieces(
    world: World, tmp_path: Path
) -> None:
    """What a look at the run leaves out is in it; one piece missing, and nothing is kept."""
    talk = world.talk(OPERATOR)
    run = await started(world, talk, "volume")
    shown = await talk.call("runs.get", run_id=run)
    assert (shown["status"], shown["result"]) == ("completed", None)
    assert shown["result_bytes"] > 1 << 20
    exported = await talk.call("runs.export", run_id=run)
    assert exported["document"] is None
    texts = [(await talk.call("runs.piece", piece=p))["text"] for p in exported["pieces"]]
    document = orjson.loads("".join(texts))
    assert len(document["steps"][0]["result"]) == 300_002
    other_folder = tmp_path / "other"
    other_folder.mkdir()
    async with open_world(other_folder) as other:
        there = other.talk(OPERATOR)
        names = [(await there.call("runs.keep_piece", text=t))["piece"] for t in texts]
        assert names == exported["pieces"]
        with pytest.raises(Refusal, match="invalid: document, pieces: give one"):
            await there.call("runs.import")
        with pytest.raises(Refusal, match=r"not_found: there is no piece .*begin anew"):
            await there.call("runs.import", pieces=[*names, "0" * 64])
        with pytest.raises(Refusal, match="no JSON"):
            await there.call("runs.import", pieces=names[1:])
        assert await there.call("runs.import", pieces=names) == {"run_id": run}
        again = await there.call("runs.export", run_id=run)
        assert (await there.call("runs.get", run_id=run))["result_bytes"] == shown["result_bytes"]
        assert len(again["pieces"]) == len(names)


@pytest.mark.parametrize("text", ["7", "[]", '{"format": "something"}'])
async def test_pieces_that_are_no_document_are_refused(world: World, text: str) -> None:
    """Checked like a document in one."""
    talk = world.talk(OPERATOR)
    piece = (await talk.call("runs.keep_piece", text=text))["piece"]
    with pytest.raises(Refusal, match="invalid"):
        await talk.call("runs.import", pieces=[piece])


async def test_what_a_run_sets_off_has_its_root(world: World) -> None:
    """Over any number of generations, so that their costs add up in one place."""
    talk = world.talk(OPERATOR)
    first = await started(world, talk, "report")
    second = (await talk.call("runs.start", task="report", root=first))["run_id"]
    third = (await talk.call("runs.start", task="report", root=second))["run_id"]
    for run in (first, second, third):
        assert (await talk.call("runs.get", run_id=run))["root"] == first
    with pytest.raises(Refusal, match="not_found"):
        await talk.call("runs.start", task="report", root="r_999")


async def test_the_log_says_who_stopped_a_run(world: World) -> None:
    """As it says who did anything else to it."""
    talk = world.talk(OPERATOR)
    run = await started(world, talk, "approval")
    await talk.call("runs.cancel", run_id=run)
    await world.settled()
    await world.idle()
    rows = await world.gateway.store.read(ReadEvents(0, 100))
    assert [row.kind for row in rows][2:] == [Kind.RUN_OPERATED, Kind.RUN_ENDED]
    assert orjson.loads(rows[2].data) == {"action": "cancel", "by": OPERATOR.name}


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"format": "something"}, "invalid"),
        ({"run": {}}, "invalid"),
        ({"steps": [{"path": "0"}]}, "invalid"),
        ({"steps": 7}, "invalid"),
        ({"events": [{"key": "a", "payload": "{", "emitted_at": 1}]}, "invalid"),
        ({"events": [{"key": "a", "payload": "", "emitted_at": 1}]}, "invalid"),
        ({"events": [{"key": "a", "payload": "[" * 200 + "]" * 200, "emitted_at": 1}]}, "invalid"),
        ({"run.status": "flying"}, "invalid"),
        ({"run.status": "running"}, "invalid"),
        ({"run.created_at": "yesterday"}, "invalid"),
        ({"run.created_at": 2**63}, "invalid"),
        ({"run.tags": [1, 2]}, "invalid"),
        ({"run.tags": {"for": {"ann": 1}}}, "invalid"),
        ({"run.tags": {"for": "ann" * 1000}}, "invalid"),
        ({"run.run_id": ""}, "invalid"),
        ({"run.run_id": "~last of all"}, "invalid"),
        ({"run.run_id": "r_\x1b[2J"}, "invalid"),
        ({"run.run_id": "r" * 1000}, "invalid"),
        ({"run.input": "another"}, "manifest_mismatch"),
        ({"run.task": "turn", "run.ended_at": None}, "manifest_mismatch"),
    ],
    ids=str,
)
async def test_a_damaged_document_is_refused_whole(
    world: World, change: dict[str, object], kind: str
) -> None:
    """Nothing of it is kept."""
    talk = world.talk(OPERATOR)
    run = await started(world, talk, "report")
    document = (await talk.call("runs.export", run_id=run))["document"]
    document["run"]["run_id"] = "r_elsewhere"
    for name, value in change.items():
        part, _, member = name.partition(".")
        if member:
            document[part][member] = value
        else:
            document[part] = value
    with pytest.raises(Refusal, match=kind):
        await talk.call("runs.import", document=document)
    with pytest.raises(Refusal, match="not_found"):
        await talk.call("runs.get", run_id="r_elsewhere")
    assert [row["run_id"] for row in (await talk.call("runs.list"))["runs"]] == [run]


async def test_live_output_is_read_by_cursor(world: World) -> None:
    """All of it, in pieces; at the end it says so."""
    talk = world.talk(OPERATOR)
    run = await started(world, talk, "report")
    page = await talk.call("runs.stream", run_id=run)
    assert [piece["body"] for piece in page["pieces"]] == [{"text": "gathering"}]
    rest = await talk.call("runs.stream", run_id=run, after=page["after"], wait_ms=1000)
    assert (rest["pieces"], rest["ended"], rest["after"]) == ([], True, page["after"])
    turn = (await talk.call("send", text="good morning"))["turn_id"]
    (piece,) = (await talk.call("runs.stream", run_id=turn))["pieces"]
    assert piece["body"]["text"] == "You said: good morning"
    with pytest.raises(Refusal, match="not_found"):
        await talk.call("runs.stream", run_id="r_999")


async def test_who_waits_for_output_is_told_when_there_is_none(world: World) -> None:
    """After its time, with the run as it is."""
    talk = world.talk(OPERATOR)
    run = await started(world, talk, "approval")
    asked = await talk.request("runs.stream", {"run_id": run, "wait_ms": 1000})
    await world.settled()
    assert talk.find(asked) is None
    for _ in range(8):
        await world.clock.advance(0.25)
        await world.settled()
    page = (await talk.answer(asked))["result"]
    assert (page["pieces"], page["status"], page["ended"]) == ([], "suspended", False)


async def test_a_turn_is_not_done_again(world: World) -> None:
    """Its answer has left; conversations have commands of their own."""
    talk = world.talk(OPERATOR)
    turn = (await talk.call("send", text="hello"))["turn_id"]
    for method, params in (("runs.retry", {"step": "0"}), ("runs.fork", {})):
        with pytest.raises(Refusal, match=r"conflict: .*turngate sessions"):
            await talk.call(method, run_id=turn, **params)
    with pytest.raises(Refusal, match="run_terminal"):
        await talk.call("runs.resume", run_id=turn)


async def test_old_runs_are_forgotten_when_asked(world: World) -> None:
    """Those that ended; parked ones stay."""
    talk = world.talk(OPERATOR)
    ended = await started(world, talk, "report")
    parked = await started(world, talk, "approval")
    assert await talk.call("runs.prune", older_than_s=60) == {"runs": 0}
    await world.clock.advance(61)
    assert await talk.call("runs.prune", older_than_s=60) == {"runs": 1}
    assert await status(talk, parked) == "suspended"
    with pytest.raises(Refusal, match="not_found"):
        await status(talk, ended)
