"""Asking a model server what it tells of itself, before the first turn needs to know.

A few short requests a profile, after a start, after a failure and from `doctor --online`; none of
them is part of a turn, none costs tokens, and a server that answers none of them is as good as any.
Follows no redirect and no proxy variable, so a key never leaves for another host.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Iterable

import httpx2

from agents.base.profiles import Told
from agents.models import told
from agents.models.profile import Profile
from gateway.core.trust import trust

WITHIN_S = 10.0
"""For all that is asked of one server."""
MAX_BYTES = 4 << 20
"""A list of models; the longest public one has 500 KiB."""


async def ask_server(profile: Profile, models: Iterable[str]) -> list[Told]:
    """What the server of this profile tells of these models; never raises for what the network or
    the server does. Cancelling closes the connection. Raises `ConfigError` for authorities that
    cannot be read."""
    wanted = list(dict.fromkeys(models))
    base = profile.base_url.rstrip("/")
    # In a thread: reading the system's authorities takes tens of milliseconds.
    context = await asyncio.to_thread(_trusting, profile)
    try:
        async with (
            asyncio.timeout(WITHIN_S),
            httpx2.AsyncClient(
                timeout=WITHIN_S,
                trust_env=False,
                verify=context,
                proxy=profile.proxy or None,
                headers={"Authorization": f"Bearer {profile.api_key}"} if profile.api_key else {},
            ) as client,
        ):
            found = _by_model(await _read(client, f"{base}/models"))
            found |= await _own_words(client, base.removesuffix("/v1"), wanted, found)
            return [found[model] for model in wanted if model in found]
    except (TimeoutError, httpx2.HTTPError, httpx2.InvalidURL):
        return []


def _trusting(profile: Profile) -> ssl.SSLContext:
    context = httpx2.create_ssl_context(trust_env=False)
    trust(context, profile.authorities)
    return context


async def _own_words(
    client: httpx2.AsyncClient, root: str, wanted: list[str], found: dict[str, Told]
) -> dict[str, Told]:
    """What llama.cpp, Ollama and LM Studio say beside the list of models; the first that it is."""
    props = await _read(client, f"{root}/props")
    if whole := {one.model: one for model in wanted if (one := told.of_props(props, model))}:
        return whole
    running = await _read(client, f"{root}/api/ps")
    if isinstance(running, dict) and "models" in running:
        return await _of_ollama(client, root, wanted, _by_model(running))
    if any(model not in found or not found[model].window for model in wanted):
        own = _by_model(await _read(client, f"{root}/api/v0/models"))
        return {name: one for name, one in own.items() if one.window}
    return {}


async def _of_ollama(
    client: httpx2.AsyncClient, root: str, wanted: list[str], running: dict[str, Told]
) -> dict[str, Told]:
    found = {name: one for name, one in running.items() if one.window}
    for model in wanted:
        loaded = running.get(model) or running.get(f"{model}:latest")
        show = await _read(client, f"{root}/api/show", {"model": model})
        one = told.of_show(show, model, loaded.window if loaded else 0)
        if one is not None:
            found[model] = one
    return found


def _by_model(body: object) -> dict[str, Told]:
    return {one.model: one for one in told.listed(body)}


async def _read(client: httpx2.AsyncClient, url: str, sent: object = None) -> object:
    """The JSON there, read to a bound; None for anything else."""
    method = "GET" if sent is None else "POST"
    async with client.stream(method, url, json=sent) as answer:
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
