"""Asking a model server what it tells of itself, before the first turn needs to know.

Two or three short requests a profile, once after a start and from `doctor --online`; none of them
is part of a turn, none costs tokens, and a server that answers none of them is as good as any.
Follows no redirect and no proxy variable, so a key never leaves for another host.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable

import httpx2

from agents.base.profiles import Told
from agents.models import told
from agents.models.profile import Profile

WITHIN_S = 10.0
"""For all that is asked of one server."""
MAX_BYTES = 4 << 20
"""A list of models; the longest public one has 500 KiB."""


async def ask_server(profile: Profile, models: Iterable[str]) -> list[Told]:
    """What the server of this profile tells of these models; never raises for what the network or
    the server does. Cancelling closes the connection."""
    wanted = set(models)
    base = profile.base_url.rstrip("/")
    root = base.removesuffix("/v1")
    try:
        async with (
            asyncio.timeout(WITHIN_S),
            httpx2.AsyncClient(
                timeout=WITHIN_S, trust_env=False, proxy=profile.proxy or None
            ) as client,
        ):
            key = {"Authorization": f"Bearer {profile.api_key}"} if profile.api_key else {}
            found = {
                one.model: one for one in told.listed(await _get(client, f"{base}/models", key))
            }
            props = await _get(client, f"{root}/props", key)
            loaded = told.listed(await _get(client, f"{root}/api/ps", key))
            found |= {one.model: one for one in loaded if one.window}
            for model in wanted:
                whole = told.of_props(props, model)
                if whole is not None:
                    found[model] = whole
            return [one for name, one in found.items() if name in wanted]
    except (TimeoutError, httpx2.HTTPError, httpx2.InvalidURL):
        return []


async def _get(client: httpx2.AsyncClient, url: str, headers: dict[str, str]) -> object:
    """The JSON there, read to a bound; None for anything else."""
    async with client.stream("GET", url, headers=headers) as answer:
        if answer.status_code != 200:
            return None
        body = bytearray()
        async for piece in answer.aiter_bytes():
            body += piece
            if len(body) > MAX_BYTES:
                return None
    try:
        value: object = json.loads(bytes(body))
    except (ValueError, RecursionError):
        return None
    return value
