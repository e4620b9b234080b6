"""`turngate simulate fault`, `log` and the like: calls to a simulator that runs elsewhere."""

from __future__ import annotations

from typing import Any

import click
import httpx2

from gateway.cli.options import JSON
from gateway.cli.output import show
from gateway.cli.parameters import named, parameters_of
from gateway.core.errors import GatewayUnreachable
from gateway.link import error_in
from gateway.simulate.control import METHODS

PORT = 8766
"""Where a simulator listens, one above the gateway's port."""
PATIENCE_S = 10.0
"""It answers in milliseconds, unless it is held in a debugger or is none."""

COMMANDS = {
    "fault": ("faults.set", "fault"),
    "faults": ("faults.list", ""),
    "clear": ("faults.clear", "id"),
    "log": ("requests.list", ""),
    "counters": ("counters", ""),
    "release": ("answers.release", ""),
    "refuse": ("listener.close", "for_s"),
}
"""Each command with its method, and the parameter that needs no name."""


def steering() -> dict[str, click.Command]:
    """The commands, by name."""
    return {name: _command(name, method, first) for name, (method, first) in COMMANDS.items()}


def _command(name: str, method: str, first: str) -> click.Command:
    shape, handler = METHODS[method]

    def run(url: str, token: str, as_json: bool, **given: Any) -> None:
        found = _call(url, token, method, named(shape, given))
        if found or as_json:
            show(found, as_json=as_json)

    return click.Command(
        name,
        params=[
            *parameters_of(shape, first=first),
            click.Option(["--url"], default=f"http://127.0.0.1:{PORT}", help="The simulator."),
            click.Option(["--token"], default="", help="Its token, on another machine."),
            JSON,
        ],
        callback=run,
        help=handler.__doc__,
    )


def _call(url: str, token: str, method: str, params: dict[str, Any]) -> Any:
    """The result of a method; raises what the simulator answered, as its class."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    address = f"{url.rstrip('/').removesuffix('/v1')}/rpc"
    try:
        with httpx2.Client(timeout=PATIENCE_S, trust_env=False) as client:
            answer = client.post(address, json=message, headers=headers).json()
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise GatewayUnreachable(
            f"no simulator answers at {url} ({error}); start one with: turngate simulate"
        ) from error
    except ValueError:
        answer = None
    if isinstance(answer, dict) and isinstance(answer.get("error"), dict):
        raise error_in(answer["error"])
    if not isinstance(answer, dict) or "result" not in answer:
        raise GatewayUnreachable(f"what answers at {url} is no simulator")
    return answer["result"]
