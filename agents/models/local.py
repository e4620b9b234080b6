"""The local model: real weights, no key, in a process of its own.

Wraps the OpenAI client; what it adds is that the server is its own. It fetches the weights if they
are not there, starts the process, starts it again when it died and asks it again, puts each request
into words for a model of 135 million parameters, and ends an answer that goes round in circles. It
shortens no conversation: one that is too long is refused, as by any server. It never falls back to
anything: without weights or without llama.cpp a turn ends with a sentence that says so and what to
do.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import structlog

from agents.base.models import Emit, Limits, ModelContext, ModelReply, ModelRequest
from agents.base.profiles import NOTHING
from agents.models.fetching import Fetcher, Progress
from agents.models.local_child import Child, NotStarted, Order, Start, start_child
from agents.models.local_prompt import IDENTITY_TOKENS, OUTPUT_TOKENS, SAMPLING, fit
from agents.models.loop_guard import complete_without_loop
from agents.models.openai import OpenAIModel
from agents.models.profile import LOCAL, Profile
from agents.resilience import abilities, plain
from gateway.core.clock import Clock
from gateway.core.errors import ModelFailed, WeightsUnavailable
from gateway.core.ids import Ids

WINDOW = 1024
"""Tokens of prompt and answer together, as conversations are fitted; each of `PARALLEL` answers has
some more (25 MB)."""
PARALLEL = 2
"""Answers at once: more of them are slower together than one after the other."""
MAX_THREADS = 4
"""Half the cores, at most these: with every core a busy machine answers ten times slower, because
each thread waits for the slowest, and past four a model so small gets no faster."""
RETRY_S = (0.0, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
"""How long after an end in failure the process is started again; the last one repeats."""
PATIENCE_S = 5.0
"""A turn waits as long for the next start; past this it is told when to come back."""
HANDOVER_S = 5.0
"""How long a killed predecessor may take to let go of the lock."""
FETCH_AGAIN_S = 60.0
"""The same after the weights could not be had; a file that has come meanwhile is taken at once."""
LOOK_S = 0.5
ASKED_AGAIN = 2
"""Times a request is repeated whose process died: more often, and the request itself kills it."""
NEWS_S = 1.0
"""How long the news of the process's end may take to get here, once a call has failed."""

ANOTHER = "set LLM_BASE_URL, LLM_MODEL and LLM_API_KEY to a model server"
DIED = (
    "The small local model stopped in the middle of its answer, and did so again when it was asked "
    "again; the operator finds the reason in the log."
)
NO_WEIGHTS = (
    "The small local model is not on this machine and could not be fetched; the operator can run "
    f"`turngate model pull`, which says why, or {ANOTHER}."
)
NOT_STARTED = {
    "busy": (
        "The small local model is in use by another gateway on this machine ({detail}); the "
        f"operator can stop that one, or {ANOTHER}."
    ),
    "missing": (
        "The small local model cannot run here, because llama.cpp is not installed; the operator "
        f"can install the package xllamacpp, or {ANOTHER}."
    ),
    "unloadable": (
        "The small local model cannot run here, because llama.cpp is installed and a library it "
        "needs is not ({detail}); the operator can install that (Debian: apt install libgomp1), or "
        f"{ANOTHER}."
    ),
}
CANNOT_START = (
    "The small local model could not be started; the operator finds the reason in the log, "
    f"or can {ANOTHER}."
)
"""What people are told: they must not take silence or a scripted answer for the model's."""

log = structlog.get_logger(__name__)


class LocalModel:
    """Answers by the process it owns; `progress` sees the weights being fetched."""

    profile = Profile(
        "http://localhost",  # where it is changes with each start
        "",
        LOCAL,
        LOCAL,
        models=(LOCAL,),
        tools=False,
        images=False,
        window=WINDOW,
        identity=IDENTITY_TOKENS,
    )
    _able = abilities.of(profile, NOTHING)

    def __init__(
        self,
        weights: Fetcher,
        clock: Clock,
        ids: Ids,
        *,
        progress: Progress | None = None,
        start: Start = start_child,
        sampling: Mapping[str, Any] = SAMPLING,
    ) -> None:
        self._weights = weights
        self._name = weights.cache.weights.name
        self._clock = clock
        self._ids = ids
        self._progress = progress or _unseen
        self._start_child = start
        self._sampling = sampling
        self._starting = asyncio.Lock()
        self._answering = asyncio.Semaphore(PARALLEL)
        self._child: Child | None = None
        self._client: OpenAIModel | None = None
        self._failures = 0
        self._not_before = 0.0
        self._problem: ModelFailed | None = None
        self._closed = False

    def limits(self, request: ModelRequest) -> Limits:
        """How long a request may be; what it is never told of one does not count."""
        return Limits(plain.window_as_asked(WINDOW, request, self._able, 1.0), images=False)

    @property
    def child(self) -> Child | None:
        """The process, while there is one."""
        return self._child

    async def open(self) -> None:
        """Fetch the weights if need be, start the process, load the client.

        Raises `ModelFailed`; the next call tries again. Cancelling leaves nothing behind.
        """
        client = await self._serving()
        await client.open()

    async def complete(self, request: ModelRequest, context: ModelContext) -> ModelReply:
        """One answer; raises only `ModelFailed`. Cancelling closes the upstream request."""
        try:
            async with context.clock.timeout(context.within_s), self._answering:
                return await self._answered(request, context)
        except TimeoutError:
            raise ModelFailed("timeout", "the time of the turn was over") from None

    async def close(self) -> None:
        """End the process; calls after this fail."""
        self._closed = True
        async with self._starting:
            await self._retire()

    async def _answered(self, request: ModelRequest, context: ModelContext) -> ModelReply:
        """The answer, whatever becomes of the process: a cut answer has changed nothing, so the
        request is repeated on the next process, and what was shown of the cut one is void."""
        deaths = 0
        while True:
            client = await self._serving()
            shown = _Shown(context.emit)
            try:
                reply = await self._ask(client, request, replace(context, emit=shown))
            except ModelFailed as failure:
                if not await self._died(failure):
                    raise
                deaths += 1
                if deaths > ASKED_AGAIN:
                    said = f"the local model's process died {deaths} times of one request"
                    raise ModelFailed(failure.category, said, told=DIED) from None
                if shown.anything:
                    context.restarted()
                continue
            self._failures = 0
            return reply

    async def _ask(
        self, client: OpenAIModel, request: ModelRequest, context: ModelContext
    ) -> ModelReply:
        try:
            return await complete_without_loop(client, fit(request, model=self._name), context)
        except ModelFailed as failure:
            if failure.category != "overflow":
                raise
            # Its window is known, so our guess was too low: of that, the window says nothing.
            raise ModelFailed("overflow", str(failure)) from None

    # --- the process -----------------------------------------------------------------------------

    async def _serving(self) -> OpenAIModel:
        """The client of a process that lives; one start at a time, and not too often."""
        async with self._starting:
            if self._closed:
                raise ModelFailed("server", "the local model is closed")
            if self._child is not None and not self._child.alive:
                await self._retire()
                self._failed(ModelFailed("server", "the local model's process has died"))
            if self._client is None:
                await self._wait_for_the_next_start()
                try:
                    await self._start()
                except (WeightsUnavailable, NotStarted) as error:
                    raise self._failed(_failure(error)) from None
            assert self._client is not None  # `_start` made it
            return self._client

    async def _start(self) -> None:
        path = await self._weights.fetch(self._progress)
        order = Order(
            path=path,
            name=self._name,
            lock=path.with_name("local.lock"),
            # A prompt that fills three quarters of the window still gets the longest answer.
            window=WINDOW - WINDOW // 4 + OUTPUT_TOKENS,
            parallel=PARALLEL,
            threads=max(1, min(MAX_THREADS, (os.cpu_count() or 1) // 2)),
        )
        began = self._clock.monotonic()
        while True:
            try:
                self._child = await self._start_child(
                    order, key=self._ids.secret(), clock=self._clock
                )
                break
            except NotStarted as error:
                waited = self._clock.monotonic() - began
                if error.problem != "busy" or waited > HANDOVER_S:
                    raise
                await self._clock.sleep(LOOK_S)
        url, key = f"{self._child.url}/v1", self._child.key
        self._client = OpenAIModel(
            Profile(url, key, self._name, name="local", keep_alive=False, extra=self._sampling)
        )
        log.info("local_model.started", pid=self._child.pid)

    async def _retire(self) -> None:
        child, self._child = self._child, None
        client, self._client = self._client, None
        if client is not None:
            await client.close()
        if child is not None:
            await child.stop(self._clock)

    async def _wait_for_the_next_start(self) -> None:
        left = self._not_before - self._clock.monotonic()
        if left <= PATIENCE_S or self._problem is None:
            await self._clock.sleep(left)
        elif self._problem.told != NO_WEIGHTS or not self._weights.cache.path.exists():
            raise _again(self._problem, left)

    def _failed(self, problem: ModelFailed) -> ModelFailed:
        self._problem = problem
        wait = RETRY_S[min(self._failures, len(RETRY_S) - 1)]
        if problem.told == NO_WEIGHTS:
            wait = FETCH_AGAIN_S
        self._failures += 1
        self._not_before = self._clock.monotonic() + wait
        return problem

    async def _died(self, failure: ModelFailed) -> bool:
        """Whether the process died of this request or during it."""
        child = self._child
        if failure.category not in ("server", "truncated") or child is None:
            return False
        if not await child.ended(self._clock, within_s=NEWS_S):
            return False
        log.warning("local_model.died", pid=child.pid)
        return True


class _Shown:
    """An `Emit` that remembers whether anything was shown."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self.anything = False

    def __call__(self, text: str) -> None:
        self.anything = True
        self._emit(text)


def _failure(error: WeightsUnavailable | NotStarted) -> ModelFailed:
    if isinstance(error, WeightsUnavailable):
        return ModelFailed("not_found", str(error), told=NO_WEIGHTS)
    told = NOT_STARTED.get(error.problem, CANNOT_START).format(detail=error.detail)
    return ModelFailed("server", f"the local model did not start: {error}", told=told)


def _again(problem: ModelFailed, left_s: float) -> ModelFailed:
    """The same problem, without another try."""
    wait = round(left_s * 1000)
    return ModelFailed(problem.category, str(problem), retry_after_ms=wait, told=problem.told)


def _unseen(done: int, total: int) -> None:
    """No listener."""
