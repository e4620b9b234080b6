"""`turngate simulate`: play the model server, with faults, until told to stop; and steer it."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import orjson

from gateway.cli.options import JSON, Group
from gateway.cli.output import show
from gateway.cli.steering import PORT, steering
from gateway.core.addresses import is_loopback
from gateway.core.clock import SystemClock
from gateway.core.ids import SystemIds, seeded_chance
from gateway.simulate import file
from gateway.simulate.answers import MODEL, Reply
from gateway.simulate.catalog import FAULTS
from gateway.simulate.clouds import CLOUD_MODEL, CLOUDS
from gateway.simulate.rules import Rule
from gateway.simulate.server import simulating
from gateway.simulate.simulator import Simulator
from gateway.telemetry import logs


def command(name: str) -> click.Group:
    """The command under its name: without a word behind it, it serves."""
    return Group(
        name,
        commands=steering(),
        invoke_without_command=True,
        params=[
            click.Option(["--host"], default="127.0.0.1", help="Address to listen on."),
            click.Option(
                ["--port"], type=int, default=PORT, help=f"Port, 0 picks one; default {PORT}."
            ),
            click.Option(
                ["--rules"], type=Path, help="File of rules, keys and faults, TOML or JSON."
            ),
            click.Option(
                ["--fault"],
                multiple=True,
                help="NAME, NAME=0.1 for one call in ten, or NAME@KEY for one key; repeatable.",
            ),
            click.Option(["--delay"], type=float, default=0.0, help="Seconds to the first byte."),
            click.Option(
                ["--tokens-per-s"], type=float, default=0.0, help="Speed; 0 means no delay."
            ),
            click.Option(["--seed"], type=int, help="Start of the luck behind NAME=0.1."),
            click.Option(
                ["--token"],
                default="",
                help="Token for steering it; made up where other machines can connect.",
            ),
            click.Option(
                ["--list", "listing"], is_flag=True, help="Show every fault and cloud, and end."
            ),
            JSON,
        ],
        callback=_simulate,
        help="Serve an OpenAI-compatible model that answers by rules and fails on request.",
    )


@dataclass(frozen=True, slots=True)
class _Options:
    """What was given on the command line."""

    host: str
    port: int
    rules: Path | None
    fault: tuple[str, ...]
    delay: float
    tokens_per_s: float
    seed: int | None
    token: str
    listing: bool
    as_json: bool


@click.pass_context
def _simulate(context: click.Context, /, **given: Any) -> None:
    if context.invoked_subcommand:
        return
    options = _Options(**given)
    if options.listing:
        rows = [
            {"fault": found.name, "leads_to": found.leads_to, "shows": found.shows}
            for found in FAULTS.values()
        ]
        rows += [
            {"fault": f"{CLOUD_MODEL}{cloud.name}", "leads_to": "answer", "shows": cloud.shows}
            for cloud in CLOUDS.values()
        ]
        show(rows, as_json=options.as_json)
        return
    scenario = file.load(options.rules) if options.rules else file.Scenario()
    rules = [*map(file.fault_option, options.fault), *scenario.rules]
    if options.delay or options.tokens_per_s:
        pace = Reply(file.ECHO, delay_s=options.delay, tokens_per_s=options.tokens_per_s)
        rules.append(Rule(reply=pace))
    logs.configure(level="warning")
    asyncio.run(_serve(options, scenario, rules))


async def _serve(options: _Options, scenario: file.Scenario, rules: list[Rule]) -> None:
    clock = SystemClock()
    token = options.token
    if not token and not is_loopback(options.host):
        token = SystemIds(clock).secret()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with simulating(
        rules=rules,
        clock=clock,
        chance=seeded_chance(scenario.seed if options.seed is None else options.seed),
        address=(options.host, options.port),
        token=token,
        keys=scenario.keys,
    ) as simulator:
        _say(simulator, token if token != options.token else "", options)
        await stop.wait()


def _say(simulator: Simulator, made_up: str, options: _Options) -> None:
    """Only the address goes to stdout."""
    rpc = f"{simulator.url}/rpc"
    if options.as_json:
        click.echo(orjson.dumps({"base_url": simulator.base_url, "rpc": rpc}).decode())
    else:
        click.echo(simulator.base_url)
    click.echo(
        f"turngate: a simulated model answers; point a gateway to it with:\n"
        f"turngate: LLM_BASE_URL={simulator.base_url} LLM_API_KEY=sim LLM_MODEL={MODEL} "
        "turngate chat",
        err=True,
    )
    click.echo(f"turngate: steer it with turngate simulate --help, or JSON-RPC at {rpc}", err=True)
    if made_up:
        click.echo(f"turngate: other machines can connect; its token is {made_up}", err=True)
