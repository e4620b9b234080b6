"""A gateway behind its port: what `up` runs, and what `chat` runs when none is running.

Builds the network surface on a gateway; the order of a stop is the server's, the drain in it ours.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from channels.base.channel import Channel
from gateway.composition.channels import client_channel
from gateway.composition.root import Chosen, open_gateway
from gateway.composition.store import open_store
from gateway.core import home
from gateway.core.clock import Clock, SystemClock
from gateway.core.errors import StoreUnavailable
from gateway.core.ids import SystemIds
from gateway.core.tasks import Ending, TaskOwner
from gateway.http.admission import Admission, Rates
from gateway.http.bounds import Bounds, Limits, Sizes
from gateway.http.gated import gated
from gateway.http.listening import Listen, check_open_bind
from gateway.http.pace import Pace
from gateway.http.ports import Surface
from gateway.http.server import Server, Stopping, serve
from gateway.identity.credentials import Credentials
from gateway.identity.token_file import TokenFile
from gateway.observing.metrics_bridge import count
from gateway.observing.self_check import free_around, look, watch
from gateway.rpc.catalog import METHODS
from gateway.rpc.rpc import open_rpc
from gateway.running import Gateway
from gateway.settings.network import TOKEN_FILE
from gateway.settings.settings import Settings
from gateway.store.base.store import Store, Unit
from gateway.telemetry.health import Health
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.tasks import task_failed

LOAD_S = 0.5
"""How often the share of requests being worked on is looked at."""

RUNNING_S = 13.0
"""How long running turns may go on after the gateway was told to stop."""
ANSWERED_S = 0.01
"""How often it is looked whether everybody who waited has been answered."""
DRAIN_S = 18.0
"""The same, and giving back those that did not end. With goodbyes to clients and the sends under
way (`root`) it stays below what the watchdog allows."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Served:
    """A gateway that listens."""

    gateway: Gateway
    server: Server
    health: Health


@asynccontextmanager
async def serving(
    settings: Settings,
    *,
    channels: Sequence[Channel] = (),
    announce: Callable[[str], None] | None = None,
    own_process: bool = True,
    chosen: Chosen | None = None,
    command: str = "up",
) -> AsyncIterator[Served]:
    """A gateway with its port open for the length of the block.

    Leaving it refuses new work, lets running turns end, answers who waits, and says goodbye to
    every client. `channels` are started by the caller. Raises what `open_gateway` raises, and
    `ConfigError` for what cannot be bound.
    """
    chosen = chosen or Chosen()
    clock = chosen.clock or SystemClock()
    ids = chosen.ids or SystemIds(clock)
    metrics = Metrics()
    chosen = replace(chosen, clock=clock, ids=ids)
    listen = listen_of(settings)
    home.make(settings.turngate_home, settings.home_group)  # a store in memory makes none
    preset = settings.turngate_token.get_secret_value()
    if warning := check_open_bind(listen, token_was_set=bool(preset)):
        log.warning("http.open_bind", problem=warning)
    clients = client_channel()
    channels = (*channels, clients)
    async with open_gateway(settings, channels=channels, chosen=chosen) as gateway:
        await gateway.channels.start(clients.name, clients.account)
        count(gateway, metrics)
        await _open_credentials(gateway.credentials, settings)
        health, pace = gateway.health, Pace()
        admission = Admission(
            health,
            clock,
            metrics.shed,
            rates=Rates(requests_s=settings.turngate_request_rate),
            waiting=lambda: gateway.lanes.waiting,
            crowds=pace.crowds,
        )
        rpc = open_rpc(
            gateway,
            gated(METHODS, admission, metrics, clock),
            frame_bytes=settings.turngate_frame_bytes,
            check=admission.check_request,
        )
        surface = Surface(
            rpc=rpc,
            credentials=gateway.credentials,
            health=health,
            metrics=metrics,
            store_writable=lambda: _writable(gateway.store),
            clock=clock,
            ids=ids,
            pace=pace,
        )

        watching = TaskOwner("serving", task_failed)
        async with serve(
            surface,
            listen,
            home=settings.turngate_home,
            bounds=bounds_of(settings),
            stopping=_stopping(gateway, admission),
            own_process=own_process,
            announce=announce,
            command=command,
        ) as server:
            # An input is durable before any model is: its turn waits until the model is open.
            look(gateway)
            rpc.show(server.bounds)
            health.ready()
            watching.start("load", _load(admission, health, clock), ending=Ending.ETERNAL)
            looking = _look(gateway, server, settings.database)
            watching.start("health", looking, ending=Ending.CANCELLABLE)
            try:
                yield Served(gateway, server, health)
            finally:
                await watching.close()
        await rpc.close()


async def _look(gateway: Gateway, server: Server, database: Path | None) -> None:
    """Watch it, and end it once its store is lost for good: then its port is of use to others."""
    loss = await watch(gateway, free_around(database))
    log.error("gateway.gives_up", reason=loss.reason)
    server.give_up(
        StoreUnavailable(
            f"{loss.reason} while the gateway ran ({database}), so nothing can be written any "
            "more. If it was moved, everything is in there: move it back, or name it with --home. "
            "If it was deleted, restore a backup, or start again with nothing"
        )
    )


def _stopping(gateway: Gateway, admission: Admission) -> Stopping:
    """The gateway's part in a stop of the server."""

    async def drain() -> None:
        await gateway.intake.close()
        gateway.tasks.stop()
        # What is only queued stays so until the next start.
        await gateway.lanes.stop(grace_s=RUNNING_S)

    async def answer_waiters() -> None:
        gateway.conversations.waiters.release()
        while len(gateway.conversations.waiters) or admission.busy:  # the server's step has a bound
            await gateway.clock.sleep(ANSWERED_S)

    return Stopping(
        drain=drain,
        answer_waiters=answer_waiters,
        hurry=gateway.lanes.hurry,
        drain_s=DRAIN_S,
    )


async def prepare(settings: Settings) -> None:
    """Make schema and token, before several processes start at once and each would."""
    clock = SystemClock()
    store = await open_store(settings, clock)
    try:
        credentials = Credentials(store, clock, SystemIds(clock))
        await _open_credentials(credentials, settings)
    finally:
        await store.close()


def listen_of(settings: Settings) -> Listen:
    """What these settings say about addresses, port and certificates."""
    return Listen(
        hosts=tuple(host.strip() for host in settings.turngate_host.split(",") if host.strip()),
        port=settings.turngate_port,
        tls_cert=settings.turngate_tls_cert,
        tls_key=settings.turngate_tls_key,
        allowed_hosts=settings.turngate_allowed_hosts,
        allowed_origins=settings.turngate_allowed_origins,
        trusted_proxies=settings.turngate_trusted_proxies,
        open_metrics=settings.turngate_open_metrics,
        passed=tuple(map(int, settings.turngate_sockets)),
    )


def bounds_of(settings: Settings) -> Bounds:
    """The bounds of the network surface by the settings."""
    memory = settings.turngate_client_memory << 20
    sizes = Sizes(frame=settings.turngate_frame_bytes, waiting=memory)
    return Bounds(sizes=sizes, limits=Limits.of(settings.turngate_connections))


async def _open_credentials(credentials: Credentials, settings: Settings) -> None:
    """Load credentials; a token that is gone is replaced and left for the owner to read."""
    await credentials.open(
        TokenFile(settings.turngate_home / TOKEN_FILE),
        preset=settings.turngate_token.get_secret_value(),
        alone=not settings.postgres_url,
    )


async def _load(admission: Admission, health: Health, clock: Clock) -> None:
    while True:
        await clock.sleep(LOAD_S)
        health.observe("in_flight", admission.load())


async def _writable(store: Store) -> bool:
    try:
        await store.commit(Unit())
    except StoreUnavailable:
        return False
    return True
