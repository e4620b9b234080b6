"""Asking a server of models which ones it has: one short request, read to a bound.

Used by `init` to find servers on this machine and by `doctor` to see whether a key is taken.
Follows no redirect and no proxy variable, so a key never leaves for another host.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx2
import orjson

from gateway.core.trust import distrust, trust

_VERSION = re.compile(r"/v\d+\w*$")

MAX_BYTES = 4 << 20
"""A list of models; the longest public one has 500 KiB."""
NEAR_S = 1.0
"""For a server on this machine: one that is there answers in a few milliseconds."""

METHODS = ("/chat/completions", "/completions", "/responses", "/models")
"""Ends of addresses that documentation shows and people paste: the base is what stands before."""

NO_LIST = "the answer is no list of models"

LOCAL = {
    11434: "Ollama",
    1234: "LM Studio",
    8000: "vLLM",
    8080: "llama.cpp",
    1337: "Jan",
}
"""Ports model servers listen on by default, and whose default it is."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What a server said: its models, or an HTTP status other than 200, or why there was none.

    `distrusted` is why its certificate was refused, in OpenSSL's words.

    `at_s` is its clock, in seconds since the epoch; 0 where it did not tell.
    """

    base_url: str
    models: tuple[str, ...] = ()
    status: int = 200
    problem: str = ""
    distrusted: str = ""
    at_s: float = 0.0

    @property
    def unlisted(self) -> bool:
        """Whether the server answers, and has no list of models at this address."""
        return self.problem == NO_LIST or self.status in (404, 405, 501)

    @property
    def usable(self) -> bool:
        """Whether it lists models."""
        return self.status == 200 and not self.problem and not self.distrusted


@dataclass(frozen=True, slots=True)
class Way:
    """How a server is reached: authorities trusted beside the system's, and a proxy's URL or ""."""

    authorities: tuple[Path, ...] = ()
    proxy: str = field(default="", repr=False)


DIRECT = Way()


async def list_models(
    base_url: str,
    key: str = "",
    *,
    within_s: float,
    way: Way = DIRECT,
) -> Listing:
    """`GET <base_url>/models`; never raises for what the network or the server does.

    Raises `ConfigError` for authorities that cannot be read.
    """
    context = httpx2.create_ssl_context(trust_env=False)
    trust(context, way.authorities)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        async with (
            asyncio.timeout(within_s),
            httpx2.AsyncClient(
                timeout=within_s, trust_env=False, verify=context, proxy=way.proxy or None
            ) as client,
            client.stream("GET", f"{base_url.rstrip('/')}/models", headers=headers) as answer,
        ):
            at_s = _date(answer.headers.get("date", ""))
            if answer.status_code != 200:
                return Listing(base_url, status=answer.status_code, at_s=at_s)
            body = bytearray()
            async for piece in answer.aiter_bytes():
                body += piece
                if len(body) > MAX_BYTES:
                    return Listing(base_url, problem="the answer has no end")
        return Listing(base_url, _names(bytes(body)), at_s=at_s)
    except TimeoutError:
        return Listing(base_url, problem=f"no answer within {within_s:g} s")
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        if why := distrust(error):
            return Listing(base_url, distrusted=why)
        return Listing(base_url, problem=str(error) or type(error).__name__)
    except (ValueError, TypeError, KeyError):
        return Listing(base_url, problem=NO_LIST)


def other_bases(base_url: str) -> list[str]:
    """Bases on the same server that were probably meant: with `/v1`, without a method's path."""
    base = base_url.rstrip("/")
    cut = next((base.removesuffix(end) for end in METHODS if base.endswith(end)), base)
    versioned = [cut] if _VERSION.search(cut) else [f"{cut}/v1", cut]
    return [each for each in versioned if each != base]


async def find_base(
    base_url: str, key: str = "", *, within_s: float, way: Way = DIRECT
) -> Listing | None:
    """The first of `other_bases` that answers as a model server: a list, or a refused key.

    The key is sent to the server it was meant for and to no other.
    """
    for other in other_bases(base_url):
        listing = await list_models(other, key, within_s=within_s, way=way)
        if listing.usable or listing.status in (401, 403):
            return listing
    return None


async def find_local(ports: Sequence[int] = tuple(LOCAL)) -> list[Listing]:
    """Servers of models on this machine's own address, all ports asked at once."""
    urls = [f"http://127.0.0.1:{port}/v1" for port in ports]
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(list_models(url, within_s=NEAR_S), name=url) for url in urls]
    return [listing for task in asked if (listing := task.result()).usable]


def _date(header: str) -> float:
    try:
        return parsedate_to_datetime(header).timestamp()
    except ValueError:
        return 0.0


def _names(body: bytes) -> tuple[str, ...]:
    listed = orjson.loads(body)["data"]
    if not isinstance(listed, list):
        raise TypeError("data is no list")
    names = (str(each["id"]) for each in listed)
    return tuple(name for name in names if name.isprintable())  # they are shown, and asked for
