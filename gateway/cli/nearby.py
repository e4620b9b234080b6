"""Gateways that run on this machine for other homes: where a person in the wrong folder finds one.

Looks at the files that gateways leave and asks loopback addresses whether a gateway answers. A
probe carries no token, and no address that is not this machine's is asked.
"""

from __future__ import annotations

import http.client
import ipaddress
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from urllib.parse import SplitResult, urlsplit

import orjson

from gateway.core import known_homes
from gateway.settings.settings import Settings

GATEWAY_FILE = "gateway.json"
USUAL_HOME: Path = Settings.model_fields["turngate_home"].default
USUAL_PORT: int = Settings.model_fields["turngate_port"].default
PROBE_S = 0.3
"""For one that listens on this machine; it answers within milliseconds, or is stuck."""
MOST = 8
"""Addresses asked, so that a command that finds nothing still ends within seconds."""
MAX_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Nearby:
    """A gateway that answers. `home` is None where only its address is known."""

    url: str
    home: Path | None = None

    @property
    def told(self) -> str:
        """Where it is and how to reach it, as the end of a sentence."""
        if self.home is None:
            return (
                f"one runs at {self.url} for another home: use --home with its folder, or --url "
                f"{self.url} with its token in TURNGATE_TOKEN"
            )
        return f"one runs at {self.url} for {self.home}: add --home {quote(str(self.home))}"


def nearby(settings: Settings) -> list[Nearby]:
    """Gateways that answer on this machine and do not belong to the home of the settings."""
    own = settings.turngate_home.absolute()
    found: dict[str, Nearby] = {}
    for candidate in _candidates(settings):
        if len(found) == MOST:
            break
        if candidate.home != own and candidate.url not in found and answers(candidate.url):
            found[candidate.url] = candidate
    return list(found.values())


def at_port(settings: Settings) -> Nearby | None:
    """The gateway of another home that answers at the port of the settings; None for none."""
    port = settings.turngate_port
    return next((one for one in nearby(settings) if urlsplit(one.url).port == port), None)


def answers(url: str) -> bool:
    """Whether a gateway is at this loopback address: asked without any credential."""
    try:
        place = urlsplit(url)
        if not ipaddress.ip_address(place.hostname or "").is_loopback:
            return False
        connection = _connection(place)
        try:
            connection.request("GET", "/healthz", headers={"Connection": "close"})
            said = orjson.loads(connection.getresponse().read(MAX_BYTES))
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError):
        return False
    return isinstance(said, dict) and isinstance(said.get("status"), str)


def _connection(place: SplitResult) -> http.client.HTTPConnection:
    host, port = place.hostname or "", place.port
    if place.scheme != "https":
        return http.client.HTTPConnection(host, port, timeout=PROBE_S)
    context = ssl.create_default_context()
    # Whose certificate it is does not matter: nothing secret is sent and nothing is believed.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host, port, timeout=PROBE_S, context=context)


def _candidates(settings: Settings) -> Iterator[Nearby]:
    try:
        above = [folder / USUAL_HOME for folder in Path.cwd().parents]
    except OSError:  # the working directory was deleted
        above = []
    homes = [*above, *known_homes.known()]
    for home in dict.fromkeys(homes):
        if url := _url_in(home):
            yield Nearby(url, home)
    for port in dict.fromkeys(filter(None, (settings.turngate_port, USUAL_PORT))):
        yield Nearby(f"http://127.0.0.1:{port}")


def _url_in(home: Path) -> str:
    try:
        with (home / GATEWAY_FILE).open("rb") as file:
            url = orjson.loads(file.read(MAX_BYTES))["url"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return url.rstrip("/") if isinstance(url, str) else ""
