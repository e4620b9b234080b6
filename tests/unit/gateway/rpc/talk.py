"""A real gateway and clients that speak to it without a socket.

`Talk` is one client: its connection keeps what it was sent, `call` sends a request and gives the
result or raises what was answered. Time is by hand, the model is scripted.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from agents.base.agents import Agent
from agents.models.scripted import Rule, ScriptedModel
from agents.workspace import Workspace, default_agent, load
from channels.base.channel import Channel
from channels.memory import MemoryChannel
from channels.websocket import WebSocketChannel
from gateway.composition.root import Chosen, open_gateway
from gateway.core.clock import ManualClock
from gateway.core.errors import Conflict
from gateway.core.ids import Ids, SequentialIds, seeded_chance
from gateway.identity.principal import Principal, Scope
from gateway.rpc.dispatch import Dispatcher
from gateway.rpc.rpc import Rpc
from gateway.rpc.session import RpcSession
from gateway.running import Gateway
from gateway.runs.functions import TaskFunction
from gateway.settings.settings import Settings
from gateway.store.base.credentials import PutCredential
from gateway.store.base.store import Unit
from gateway.store.sqlite.store import open_sqlite
from tests.support.credentials import Kept
from tests.support.cutting import CuttableStore
from tests.support.patience import PATIENCE_S

USER = frozenset({Scope.READ, Scope.CHAT})
ALICE = Principal("alice", USER, "k_alice")
BOB = Principal("bob", USER, "k_bob")
OPERATOR = Principal("olga", USER | {Scope.OPERATOR}, "k_olga")
ADMIN = Principal("root", frozenset(Scope), "k_root")
NOBODY = Principal("", frozenset(), "")

CREDENTIALS = [
    PutCredential(
        one.credential_id,
        one.name,
        sha256(f"the-token-of-{one.name}".encode()).hexdigest(),
        ",".join(sorted(one.scopes)),
        10**15,  # the youngest: what a test makes comes before them
    )
    for one in (ALICE, BOB, OPERATOR, ADMIN)
]


class Refusal(Exception):
    """An error that was answered."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        super().__init__(f"{error['code']} {error['data']['kind']}: {error['message']}")
        self.code: int = error["code"]
        self.kind: str = error["data"]["kind"]
        self.message: str = error["message"]
        self.data: dict[str, Any] = error["data"]


@dataclass(slots=True, eq=False)
class MemoryConnection:
    """`gateway.rpc.call.Connection` that keeps everything; `stall` makes it slow."""

    principal: Principal
    frames: list[bytes] = field(default_factory=list)
    notes: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    deltas: list[dict[str, Any]] = field(default_factory=list)
    restarts: list[dict[str, Any]] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _flowing: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._flowing.set()

    def become(self, principal: Principal) -> None:
        self.principal = principal

    async def respond(self, frame: bytes, *, last: bool = False) -> None:
        await self._flowing.wait()
        self.frames.append(frame)
        self._wake()

    async def notify(self, method: str, params: dict[str, Any]) -> None:
        await self._flowing.wait()
        self.notes.append((method, orjson.loads(orjson.dumps(params))))
        self._wake()

    def preview(self, key: str, method: str, params: dict[str, Any]) -> None:
        if method == "step.restarted":
            self.restarts.append(params)
        elif method == "step.queued":
            self.places.append(params["place"])
        else:
            assert method == "turns.delta"
            self.deltas.append(params)
        self._wake()

    def stall(self) -> None:
        """The client reads nothing more."""
        self._flowing.clear()

    def flow(self) -> None:
        """It reads again."""
        self._flowing.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that changes with what is written."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def _wake(self) -> None:
        self._changed.set()


class Talk:
    """One client."""

    def __init__(self, world: World, principal: Principal, address: str = "10.0.0.1") -> None:
        self.connection = MemoryConnection(principal)
        self.session: RpcSession = world.rpc.open_session(self.connection, address)
        self._ids = itertools.count(1)
        self._seen = 0

    async def send(self, value: Any) -> None:
        """Any frame: bytes or text as they are, everything else as JSON."""
        frame = value if isinstance(value, bytes | str) else orjson.dumps(value)
        await self.session.receive(frame)

    async def request(self, method: str, params: Any = None, *, id: Any = None) -> Any:
        """Send a request; its id."""
        id = f"r{next(self._ids)}" if id is None else id
        request: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "id": id}
        if params is not None:
            request["params"] = params
        await self.send(request)
        return id

    async def answer(self, id: Any) -> dict[str, Any]:
        """The answer to a request, once it is there."""
        await self.connection.until(lambda: self.find(id) is not None)
        found = self.find(id)
        assert found is not None
        return found

    def find(self, id: Any) -> dict[str, Any] | None:
        """The answer to a request, if it is there."""
        for value in self.answers():
            if isinstance(value, dict) and value["id"] == id and type(value["id"]) is type(id):
                return value
        return None

    def answers(self) -> list[Any]:
        """Every frame so far that was an answer."""
        return [orjson.loads(frame) for frame in self.connection.frames]

    async def next_answer(self) -> Any:
        """The oldest answer this method has not given yet."""
        seen = self._seen
        self._seen += 1
        await self.connection.until(lambda: len(self.connection.frames) > seen)
        return orjson.loads(self.connection.frames[seen])

    async def call(self, method: str, /, **params: Any) -> Any:
        """The result of a method; raises `Refusal`."""
        return result_of(await self.answer(await self.request(method, params)))

    async def note(self, method: str, count: int = 1) -> dict[str, Any]:
        """The `count`-th notification of a name, once it is there."""
        await self.connection.until(lambda: len(self.notes(method)) >= count)
        return self.notes(method)[count - 1]

    def notes(self, method: str) -> list[dict[str, Any]]:
        """Notifications of a name so far."""
        return [params for name, params in self.connection.notes if name == method]


class World:
    """A gateway with its methods; `talk` is another client each time."""

    def __init__(
        self, gateway: Gateway, dispatcher: Dispatcher, clock: ManualClock, memory: MemoryChannel
    ) -> None:
        self.gateway = gateway
        assert isinstance(gateway.store, CuttableStore)
        self.store = gateway.store
        self.memory = memory
        self.dispatcher = dispatcher
        self.rpc = Rpc(dispatcher)
        self.clock = clock
        self.talks: list[Talk] = []

    def talk(self, principal: Principal = ALICE) -> Talk:
        """A client that is connected."""
        talk = Talk(self, principal)
        self.talks.append(talk)
        return talk

    async def post(
        self, method: str, params: Any = None, *, principal: Principal = ALICE, id: Any = 1
    ) -> Any:
        """The result of a method over HTTP; raises `Refusal`."""
        request = {"jsonrpc": "2.0", "method": method, "params": params, "id": id}
        frame = await self.rpc.handle(orjson.dumps(request), principal, "10.0.0.2")
        assert frame is not None
        return result_of(orjson.loads(frame))

    async def settled(self) -> None:
        """Wait until nothing moves without time passing: the writer and the readers are quiet."""
        # Nothing is counted in rounds: while somebody writes, SQLite lets a reader of a database in
        # memory sleep for up to a tenth of a second, and time must not be moved under its feet.
        await self.store.quiet()

    async def idle(self) -> None:
        """Wait until every turn that can end has ended."""
        async with asyncio.timeout(PATIENCE_S):
            await self.gateway.idle()


def result_of(answer: Mapping[str, Any]) -> Any:
    """What a method answered; raises `Refusal`."""
    assert answer["jsonrpc"] == "2.0"
    if "error" in answer:
        assert "result" not in answer
        raise Refusal(answer["error"])
    return answer["result"]


@asynccontextmanager
async def open_world(  # noqa: PLR0913  # one keyword for each side of the world a test is about
    folder: Path,
    *,
    rules: Iterable[Rule] = (),
    agents: Iterable[Agent] = (),
    routes: str = "",
    store: str = ":memory:",
    ids: Ids | None = None,
    declared: bool = False,
    max_result_bytes: int = 1 << 20,
    tasks: Mapping[str, TaskFunction] | None = None,
    turns: int = 0,
) -> AsyncIterator[World]:
    """A running gateway for the block; clients still connected are closed at its end."""
    workspace = folder / "workspace"
    workspace.mkdir(exist_ok=True)
    if routes:
        (workspace / "routes.json").write_text(routes)
    settings = Settings(
        workspace_dir=workspace,
        turngate_store=store,
        turngate_model="scripted",
        turngate_turns=turns,
    )
    opened = CuttableStore(await open_sqlite(settings.database))
    clock, ids = ManualClock(), ids or SequentialIds()
    known = load(workspace) if declared else Workspace(agents or [default_agent(workspace)])
    chosen = Chosen(
        clock=clock,
        ids=ids,
        chance=seeded_chance(1),
        model=ScriptedModel(rules),
        agents=known,
        store=opened,
        tasks=tasks or {},
    )
    memory = MemoryChannel()
    channels: list[Channel] = [WebSocketChannel(), memory]
    stack = AsyncExitStack()
    opening = open_gateway(settings, channels=channels, chosen=chosen)
    gateway = await stack.enter_async_context(opening)
    try:
        for row in CREDENTIALS:
            with suppress(Conflict):  # the store was used before
                await gateway.store.commit(Unit((row,)))
        await gateway.credentials.open(Kept(), preset="the-0-token-nobody-has-1-here")
        await gateway.channels.start("websocket", "default")
        gateway.health.ready()
        dispatcher = Dispatcher(gateway, max_result_bytes=max_result_bytes)
        world = World(gateway, dispatcher, clock, memory)
        yield world
        for talk in world.talks:
            talk.connection.flow()
            await talk.session.close()
        await world.rpc.close()
    finally:
        # Turns that a test left standing get their time on the manual clock.
        await clock.drive(stack.aclose())
