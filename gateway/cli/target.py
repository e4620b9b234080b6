"""Which gateway a command speaks to: an address and a token, found where `up` leaves them.

Flags win over TURNGATE_URL and TURNGATE_TOKEN, which win over the files in TURNGATE_HOME. A token
is never taken from an address, and never sent anywhere but to the address it was found with.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import orjson

from gateway.client import Client
from gateway.config import TOKEN_FILE, Settings, load_settings
from gateway.core import home as home_folder
from gateway.core.errors import ConfigError, GatewayUnreachable

GATEWAY_FILE = "gateway.json"


@dataclass(frozen=True, slots=True)
class Target:
    """A gateway and the right to speak to it."""

    url: str
    token: str
    command: str = ""
    """Which command runs it, where that is known."""


def find(*, url: str | None = None, home: str | None = None) -> Target:
    """Raises `GatewayUnreachable` or `ConfigError` with what to do."""
    settings = load_settings(turngate_home=home)
    token = settings.turngate_token.get_secret_value()
    given = url or settings.turngate_url
    if given:
        if not token:
            token = _read_token(settings.turngate_home) if _is_ours(given, settings) else ""
        if not token:
            raise ConfigError(
                f"no token for {given}: set TURNGATE_TOKEN to one that gateway has made "
                "(turngate token create)"
            )
        return Target(given, token)
    target = running(settings)
    if target is None:
        raise GatewayUnreachable(
            f"no gateway is running here ({settings.turngate_home / GATEWAY_FILE} is not there); "
            "start one with: turngate up"
        )
    return target


def running(settings: Settings) -> Target | None:
    """The gateway that says it runs on this home.

    Raises `ConfigError` without its token, and where others may have said it.
    """
    home_folder.check(settings.turngate_home)
    found = told(settings)
    if found is None or found.token:
        return found
    return replace(found, token=_read_token(settings.turngate_home))


def told(settings: Settings) -> Target | None:
    """The same by its file alone, with a token only where the settings have one."""
    found = _said_by(settings.turngate_home)
    if found is None:
        return None
    return Target(found[0], settings.turngate_token.get_secret_value(), found[1])


@asynccontextmanager
async def connected(url: str | None, home: str | None) -> AsyncIterator[Client]:
    """A client of the gateway the flags or the settings name."""
    target = find(url=url, home=home)
    async with Client(target.url, target.token, name="turngate-cli") as client:
        yield client


def _is_ours(url: str, settings: Settings) -> bool:
    found = _said_by(settings.turngate_home)
    return found is not None and found[0].rstrip("/") == url.rstrip("/")


def _said_by(home: Path) -> tuple[str, str] | None:
    """Address and command of the gateway, by its file."""
    try:
        found = orjson.loads((home / GATEWAY_FILE).read_bytes())
        return str(found["url"]), str(found.get("command", ""))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _read_token(home: Path) -> str:
    file = home / TOKEN_FILE
    try:
        return file.read_text(encoding="utf-8-sig").strip()
    except OSError as error:
        raise ConfigError(
            f"there is no token in {file}; set TURNGATE_TOKEN, or start the gateway here once"
        ) from error
