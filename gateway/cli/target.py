"""Which gateway a command speaks to: an address and a token, found where `up` leaves them.

Flags win over TURNGATE_URL and TURNGATE_TOKEN, which win over the files in TURNGATE_HOME. A token
is never taken from an address, and sent only to an address of its own source: a token from the
environment goes nowhere that a folder alone names, except to a process of this user on this
machine.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson

from gateway.cli.nearby import GATEWAY_FILE, nearby
from gateway.client import Client
from gateway.core import home as home_folder
from gateway.core.addresses import url_problem
from gateway.core.errors import ConfigError, GatewayUnreachable, InvalidInput
from gateway.http.listeners import is_own_listener
from gateway.settings.network import TOKEN_FILE
from gateway.settings.settings import Settings, load_settings


@dataclass(frozen=True, slots=True)
class Target:
    """A gateway and the right to speak to it; `problem` is why there is no token."""

    url: str
    token: str
    command: str = ""
    """Which command runs it, where that is known."""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """What `gateway.json` of a home says, which anything that wrote there may have made up."""

    url: str
    command: str
    pid: int


def find(*, url: str | None = None, home: str | None = None) -> Target:
    """Raises `GatewayUnreachable` or `ConfigError` with what to do."""
    settings = load_settings(turngate_home=home)
    given = url or settings.turngate_url
    if given:
        if problem := url_problem(given):
            raise InvalidInput(
                f"{given!r} is no address of a gateway: {problem}; expected http://host:port"
            )
        return Target(given, _token_for(given, settings, is_of_folder=_names(settings, url)))
    target = running(settings)
    if target is None:
        others = "".join(f"; {other.told}" for other in nearby(settings))
        raise GatewayUnreachable(
            f"no gateway is running here ({settings.turngate_home / GATEWAY_FILE} is not there)"
            f"{others}; start one here with: turngate up"
        )
    return target


def running(settings: Settings) -> Target | None:
    """The gateway that says it runs on this home; None also for what a dead process has left.

    Raises `ConfigError` without its token, where others may have written the file, and where the
    token of the environment would be sent to an address that is not proven to be ours.
    """
    home = settings.turngate_home
    home_folder.check(home, settings.home_group)
    found = said_by(home)
    if found is None:
        return None
    token = settings.turngate_token.get_secret_value()
    if not token:
        return Target(found.url, _read_token(home), found.command)
    home_may_know = settings.is_of_folder("turngate_token")
    if not settings.is_of_folder("turngate_home") or home_may_know:
        return Target(found.url, token, found.command)
    if is_own_listener(found.url, found.pid):
        return Target(found.url, token, found.command)
    if not _is_alive(found.pid):
        return None
    raise ConfigError(
        f"{home / GATEWAY_FILE} names {found.url}, which is not proven to be a process of yours on "
        "this machine, so TURNGATE_TOKEN is not sent there. If you trust that address, set "
        f"TURNGATE_URL={found.url} in the environment as well; or unset TURNGATE_TOKEN to use the "
        "token of this home"
    )


def said_by(home: Path) -> Said | None:
    """Address, command and process of the gateway, by its file; None without a readable one."""
    try:
        found = orjson.loads((home / GATEWAY_FILE).read_bytes())
        url = str(found["url"])
        if url_problem(url):
            return None
        return Said(url, str(found.get("command", "")), int(found.get("pid", 0)))
    except (OSError, ValueError, KeyError, TypeError):
        return None


@asynccontextmanager
async def connected(url: str | None, home: str | None) -> AsyncIterator[Client]:
    """A client of the gateway the flags or the settings name."""
    target = find(url=url, home=home)
    async with Client(target.url, target.token, name="turngate-cli") as client:
        yield client


def _names(settings: Settings, url: str | None) -> bool:
    """Whether the folder, and not the user, names the address."""
    return not url and settings.is_of_folder("turngate_url")


def _token_for(url: str, settings: Settings, *, is_of_folder: bool) -> str:
    """The token for an address that was given; raises `ConfigError` when none belongs there."""
    token = settings.turngate_token.get_secret_value()
    if not token:
        home_folder.check(settings.turngate_home, settings.home_group)
        found = said_by(settings.turngate_home)
        if found is not None and found.url.rstrip("/") == url.rstrip("/"):
            return _read_token(settings.turngate_home)
        raise ConfigError(
            f"no token for {url}: set TURNGATE_TOKEN to one that gateway has made "
            "(turngate token create)"
        )
    if is_of_folder and not settings.is_of_folder("turngate_token"):
        raise ConfigError(
            f"TURNGATE_URL={url} comes from .env or turngate.toml of this folder, and "
            "TURNGATE_TOKEN does not, so it is not sent there. If you trust that address, pass "
            f"--url {url}, or set TURNGATE_URL in the environment as well"
        )
    return token


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # there, and of another user
        return True
    return True


def _read_token(home: Path) -> str:
    file = home / TOKEN_FILE
    try:
        token = file.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"there is no token in {file}; set TURNGATE_TOKEN, or start the gateway here once"
        ) from error
    if not token.isascii() or not token.isprintable():
        raise ConfigError(f"what {file} holds is no token; restart the gateway without that file")
    return token
