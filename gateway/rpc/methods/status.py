"""How the gateway is: numbers in memory only, so that it answers when nothing else does."""

from __future__ import annotations

from itertools import islice

from gateway.identity.principal import Scope
from gateway.rpc.call import Call
from gateway.rpc.method import Method
from gateway.runs.gate import Use
from gateway.wire.methods.base import NoParams
from gateway.wire.methods.status import BoundUse, Status

SHOWN_CLIENTS = 100


async def status(call: Call, params: NoParams) -> Status:
    """Show the state of the gateway."""
    gateway = call.gateway
    present = call.shared.present
    uptime = gateway.clock.monotonic() - gateway.about.started
    agents = len(gateway.agents.ids())
    bindings = len(gateway.router.table.rules)
    steers = call.principal.has(Scope.OPERATOR)
    shown = islice(present, SHOWN_CLIENTS) if steers else ()
    return Status(
        running=True,
        version=gateway.about.version,
        state=gateway.health.state.value,
        reasons=list(gateway.health.reasons),
        model=gateway.about.model,
        model_note=gateway.about.note,
        model_state=gateway.opening.state,
        model_problem=gateway.opening.note,
        uptime_seconds=round(uptime, 3),
        uptime_secs=int(uptime),
        connected_clients=len(present),
        agents=agents,
        agent_count=agents,
        bindings=bindings,
        binding_count=bindings,
        sessions=len(gateway.sessions),
        turns_running=gateway.engine.executing,
        turns_waiting=gateway.lanes.unanswered,
        bounds=_bounds(call) if steers else [],
        destinations_waiting=len(gateway.outbox),
        seq=gateway.log.head,
        clients=[one.shown() for one in shown],
    )


def _bounds(call: Call) -> list[BoundUse]:
    gateway = call.gateway
    uses = [
        *gateway.lanes.bounds(),
        *gateway.intake.bounds(),
        *gateway.tasks.bounds(),
        *call.shared.network(),
    ]
    lines = [(Use("requests", *line[1:]), line.profile) for line in gateway.profiles.lines()]
    return [
        BoundUse(**use._asdict(), reached=use.reached, profile=profile)
        for use, profile in [*((use, "") for use in uses), *lines]
        if use.total
    ]


STATUS = Method("status", Scope.READ, status, always=True)
