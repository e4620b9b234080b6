"""Commands that show how the gateway is: agents, routes, keys, deliveries, channels."""

from __future__ import annotations

from dataclasses import asdict

from gateway.commands.command import Asked, Command, Subject
from gateway.core.errors import InvalidInput, NotFound
from gateway.core.keys import RouteKey
from gateway.identity.principal import Scope
from gateway.routing.bindings import Match
from gateway.running import Gateway
from gateway.turns.commanding import Reply


async def status(gateway: Gateway, asked: Asked) -> Reply:
    uptime = int(gateway.clock.monotonic() - gateway.about.started)
    lines = [
        f"turngate {gateway.about.version}, {gateway.health.state.value} for {_time(uptime)}",
        f"agent {asked.agent_id}, model {gateway.about.model}",
        f"turns: {gateway.engine.executing} running, {gateway.lanes.unanswered} waiting",
    ]
    lines += [f"not well: {reason}" for reason in gateway.health.reasons]
    return Reply("\n".join(lines))


async def agents(gateway: Gateway, asked: Asked) -> Reply:
    lines = []
    for agent_id in gateway.agents.ids():
        agent = gateway.agents.get(agent_id)
        if agent is not None:
            here = "*" if agent_id == asked.agent_id else "-"
            lines.append(f"{here} {agent_id}: {agent.model or gateway.about.model}")
    return Reply("\n".join(lines))


async def bindings(gateway: Gateway, asked: Asked) -> Reply:
    rules = [
        f"{int(rule.tier)} {_matched(rule.match)} -> {rule.agent}"
        for rule in gateway.router.table.rules
    ]
    rest = f"everything else -> {gateway.router.table.default_agent}"
    return Reply("\n".join([*rules, rest]))


async def route(gateway: Gateway, asked: Asked) -> Reply:
    words = asked.args.split()
    if not 2 <= len(words) <= 4:
        raise InvalidInput("/route takes <channel> <peer> [account] [guild]")
    channel, peer, account, guild, *_ = [*words, "", ""]
    place = RouteKey(channel, account or RouteKey().account, guild, peer=peer)
    routed = gateway.router.route(place, None)
    return Reply(f"{routed.agent.id}, session {routed.session}\n{routed.explanation}")


async def model(gateway: Gateway, asked: Asked) -> Reply:
    agent = gateway.agents.get(asked.agent_id)
    if agent is None:
        raise NotFound(f"the agent {asked.agent_id!r} is gone from the workspace")
    order = [agent.model or gateway.about.model, *agent.fallback_models]
    said = f"{asked.agent_id} asks {', then '.join(order)}."
    if asked.args:
        said += " Change it by `model` in its AGENT.md; it is the same for all conversations."
        return Reply(said, kind="invalid")
    return Reply(said)


async def prompt(gateway: Gateway, asked: Asked) -> Reply:
    agent = gateway.agents.get(asked.agent_id)
    if agent is None:
        raise NotFound(f"the agent {asked.agent_id!r} is gone from the workspace")
    return Reply(agent.identity or "This agent has no instructions.")


async def profiles(gateway: Gateway, asked: Asked) -> Reply:
    lines = [
        f"{info.name}: {at.model} {at.state}" for info in gateway.profiles.seen()
        for at in info.models
    ]  # fmt: skip
    return Reply("\n".join(lines) or "No model needs a key here.")


async def delivery(gateway: Gateway, asked: Asked) -> Reply:
    counts = await gateway.deliveries.counts()
    return Reply(", ".join(f"{n} {state}" for state, n in sorted(counts.states.items())) or "none")


async def channels(gateway: Gateway, asked: Asked) -> Reply:
    words = asked.args.split()
    if not words:
        lines = [f"{info.name}/{info.account}: {info.state}" for info in gateway.channels.seen()]
        return Reply("\n".join(lines) or "No channel runs here but the network's.")
    name, does, *more = [*words, "status"]
    matching = [info for info in gateway.channels.seen() if info.name == name]
    if not matching:
        raise NotFound(f"this gateway has no channel {name!r}; /channels lists them")
    if does not in ("start", "stop", "status") or len(more) > 1:
        raise InvalidInput("/channels takes [channel] [start|stop|status]")
    for info in matching:
        if does == "start":
            await gateway.channels.start(info.name, info.account)
        elif does == "stop":
            await gateway.channels.stop(info.name, info.account)
    lines = [
        f"{info.name}/{info.account}: {info.state}"
        for info in gateway.channels.seen()
        if info.name == name
    ]
    return Reply("\n".join(lines))


def _matched(match: Match) -> str:
    wanted = [f"{field} = {value}" for field, value in asdict(match).items() if value]
    return ", ".join(wanted) or "everything"


def _time(seconds: int) -> str:
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {left} s"


_HERE, _ALL = Subject.AGENTS, Subject.GATEWAY

COMMANDS = (
    Command("agents", "", "list the agents", _HERE, agents, Scope.READ, True, twin="agents.list"),
    Command("model", "", "show which models the agent asks", _HERE, model, Scope.READ, True,
            twin="models.list"),
    Command("prompt", "", "show the instructions of the agent", _HERE, prompt, Scope.OPERATOR,
            True),
    Command("bindings", "", "list the rules that choose an agent", _HERE, bindings, Scope.OPERATOR,
            True, twin="bindings.list"),
    Command("route", "<channel> <peer> [account] [guild]", "show who would answer, sending nothing",
            _HERE, route, Scope.OPERATOR, True, twin="routes.explain"),
    Command("status", "", "show how the gateway is", _ALL, status, Scope.READ, True,
            twin="status"),
    Command("profiles", "", "show how keys and models do", _ALL, profiles, Scope.OPERATOR, True,
            twin="profiles.list"),
    Command("delivery", "", "count the answers on their way", _ALL, delivery, Scope.READ, True,
            twin="deliveries.stats"),
    Command("channels", "[channel] [start|stop|status]", "show, start and stop channels", _ALL,
            channels, Scope.OPERATOR, True, twin="channels.list"),
)  # fmt: skip
