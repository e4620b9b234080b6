"""Numbers for Prometheus: one registry a gateway, and a small function for each thing that counts.

Other layers are handed the functions they need and know nothing of Prometheus. A label never holds
a user, a session or a prompt, and never text a client made up: unknown words become `other`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from gateway.core.errors import ModelAttempt
from gateway.telemetry.health import State

CONTENT_TYPE = CONTENT_TYPE_LATEST

MAX_WORDS = 200
"""Distinct values a label takes in the life of a process; each costs memory here and in the
database that collects them."""

RPC_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 120, 600)
"""From a look at the status to the longest wait for a turn."""
LAG_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5)
COMMIT_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5)
"""From a write that waits for nobody to a disk that is ill."""
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_OUTCOMES = {"": "ok", "unfinished": "cancelled"}
"""How requests to models end that did not fail, in words of operators."""


class Words:
    """The values of one label, bounded."""

    def __init__(self, known: Iterable[str] = (), *, bound: int = MAX_WORDS) -> None:
        self._seen = set(known)
        self._bound = max(bound, len(self._seen))

    def __call__(self, word: str) -> str:
        """The word, or `other` once there are too many."""
        if word not in self._seen:
            if len(self._seen) >= self._bound:
                return "other"
            self._seen.add(word)
        return word


class Metrics:
    """Every number; all functions are cheap and may be called from the loop only."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._connections = self._gauge("connections", "Open connections.", "transport")
        self._requests = self._counter(
            "rpc_requests",
            "Requests by method and outcome: ok or the kind of error.",
            "method",
            "outcome",
        )
        self._seconds = Histogram(
            "turngate_rpc_seconds",
            "Time from a request to its answer.",
            ["method"],
            buckets=RPC_BUCKETS,
            registry=self._registry,
        )
        self._queue = self._gauge("queue_depth", "Things that wait, by queue.", "queue")
        self._turns = self._gauge("turns", "Turns that run, and that wait for a slot.", "state")
        self._ended = self._counter("turns_ended", "Turns by their end.", "end")
        self._resumed = self._counter(
            "turns_resumed", "Turns that went on after an interruption or a wait."
        )
        self._calls = self._counter(
            "llm_requests",
            "Model calls by outcome: ok, cancelled or the category of failure.",
            "model",
            "category",
        )
        self._tokens = self._counter("llm_tokens", "Tokens by kind.", "model", "kind")
        self._deliveries = self._counter("deliveries", "Deliveries by their end.", "outcome")
        self._batch = Histogram(
            "turngate_store_batch_units",
            "Writes that share a transaction.",
            buckets=BATCH_BUCKETS,
            registry=self._registry,
        )
        self._commit = Histogram(
            "turngate_store_commit_seconds",
            "From handing in the first write of a transaction until all of it holds.",
            buckets=COMMIT_BUCKETS,
            registry=self._registry,
        )
        self._lag = Histogram(
            "turngate_loop_lag_seconds",
            "How late the event loop wakes a sleeper.",
            buckets=LAG_BUCKETS,
            registry=self._registry,
        )
        self._shed = self._counter("shed", "Refused or dropped, by reason.", "reason")
        self._health = self._gauge("health", "1 for the state the gateway is in.", "state")
        self._reasons = self._gauge("health_reasons", "1 for a reason of that state.", "reason")
        self._methods = Words()
        self._models = Words()
        # Looking a label up costs three times what counting does.
        self._answered: dict[tuple[str, str], tuple[Counter, Histogram]] = {}
        for state in State:
            self._health.labels(state).set(0)

    # --- what others call ------------------------------------------------------------------------

    def connections(self, transport: str, count: Callable[[], float]) -> None:
        """Ask this for the number of open connections at each collection."""
        self._connections.labels(transport).set_function(count)

    def rpc_answered(self, method: str, outcome: str, seconds: float) -> None:
        """A request was answered: `ok` or the kind of its error."""
        found = self._answered.get((method, outcome))
        if found is None:
            word = self._methods(method)
            found = (self._requests.labels(word, outcome), self._seconds.labels(word))
            if word == method:  # what became `other` is a client's word, of which there is no end
                self._answered[method, outcome] = found
        counter, histogram = found
        counter.inc()
        histogram.observe(seconds)

    def reason(self, name: str, holds: Callable[[], float]) -> None:
        """Ask this whether the gateway is ill for a reason at each collection."""
        self._reasons.labels(name).set_function(holds)

    def queue(self, name: str, depth: Callable[[], float]) -> None:
        """Ask this for the depth of a queue at each collection."""
        self._queue.labels(name).set_function(depth)

    def turns(self, state: str, count: Callable[[], float]) -> None:
        """Ask this for the number of turns in a state at each collection."""
        self._turns.labels(state).set_function(count)

    def turn_ended(self, end: str) -> None:
        """A turn has its end: `answered`, `failed`, `cancelled` or `expired`."""
        self._ended.labels(end).inc()

    def turn_resumed(self) -> None:
        """A turn that was interrupted, or had waited outside the process, goes on."""
        self._resumed.inc()

    def model_asked(self, attempt: ModelAttempt, input_tokens: int, output_tokens: int, /) -> None:
        """A request to a model server has ended."""
        model = self._models(attempt.model)
        self._calls.labels(model, _OUTCOMES.get(attempt.category, attempt.category)).inc()
        if input_tokens or output_tokens:
            self._tokens.labels(model, "input").inc(input_tokens)
            self._tokens.labels(model, "output").inc(output_tokens)

    def delivered(self, outcome: str) -> None:
        """A delivery has its end: `sent`, `dead`, `expired` or `unknown`."""
        self._deliveries.labels(outcome).inc()

    def store_wrote(self, units: int, seconds: float) -> None:
        """A transaction holds, or was refused: its writes, and how long the first of them took."""
        self._batch.observe(units)
        self._commit.observe(seconds)

    def loop_lag(self, seconds: float) -> None:
        """The loop woke somebody this late."""
        self._lag.observe(seconds)

    def shed(self, reason: str) -> None:
        """Something was refused or dropped; `reason` is a word of ours."""
        self._shed.labels(reason).inc()

    def health(self, state: State) -> None:
        """The gateway is in this state now."""
        for other in State:
            self._health.labels(other).set(1 if other is state else 0)

    # --- what a collector reads ------------------------------------------------------------------

    def know_methods(self, names: Iterable[str]) -> None:
        """From now on any other method is `other`."""
        self._methods = Words(names, bound=0)

    def page(self) -> bytes:
        """All numbers in the text format."""
        return generate_latest(self._registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"turngate_{name}", text, labels, registry=self._registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"turngate_{name}", text, labels, registry=self._registry)
