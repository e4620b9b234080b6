"""Asking a server what it tells of itself, over real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agents.base.profiles import Told
from agents.models.introduction import ask_server
from agents.models.openai import OpenAIModel
from agents.models.profile import Profile
from agents.resilience.choosing import Candidate
from agents.resilience.introductions import AGAIN_MS
from agents.resilience.policy import Endpoint, Resilient
from gateway.core.clock import ManualClock
from gateway.core.errors import ModelAttempt


@asynccontextmanager
async def server(answers: dict[str, object]) -> AsyncIterator[tuple[str, list[str]]]:
    """A server that has these documents; yields its address and what it was asked for."""
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).decode().split()[1]
        asked.append(path)
        body = json.dumps(answers[path]).encode() if path in answers else b""
        status = "200 OK" if path in answers else "404 Not Found"
        head = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1") as listening:
        port = listening.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/v1", asked


LLAMA_CPP = {
    "/v1/models": {"object": "list", "data": [{"id": "other"}]},
    "/props": {"total_slots": 1, "default_generation_settings": {"n_ctx": 2048}},
}


async def test_a_server_is_asked_for_its_list_its_properties_and_what_is_loaded() -> None:
    async with server(LLAMA_CPP) as (url, asked):
        assert await ask_server(Profile(url, "k", "m"), ["m"]) == [Told("m", 2048, 1)]
        assert asked == ["/v1/models", "/props"]


async def test_the_window_that_is_loaded_counts_more_than_the_one_in_the_list() -> None:
    answers: dict[str, object] = {
        "/v1/models": {"data": [{"id": "m", "context_length": 131_072}]},
        "/api/ps": {"models": [{"model": "m", "context_length": 4096}]},
    }
    async with server(answers) as (url, asked):
        assert await ask_server(Profile(url, "", "m"), ["m"]) == [Told("m", 4096)]
        assert asked == ["/v1/models", "/props", "/api/ps", "/api/show"]


async def test_ollama_is_asked_for_each_model() -> None:
    """Under the name of the settings, which may leave out the tag."""
    answers: dict[str, object] = {
        "/v1/models": {"data": [{"id": "m:latest"}]},
        "/api/ps": {"models": [{"model": "m:latest", "context_length": 4096}]},
        "/api/show": {"capabilities": ["completion", "vision"], "model_info": {}},
    }
    async with server(answers) as (url, _):
        takes = (("tools", False), ("images", True))
        assert await ask_server(Profile(url, "", "m"), ["m"]) == [Told("m", 4096, 0, takes)]


async def test_lm_studio_is_asked_in_its_own_way_where_its_list_says_no_window() -> None:
    answers: dict[str, object] = {
        "/v1/models": {"data": [{"id": "m"}]},
        "/api/v0/models": {
            "data": [{"id": "m", "type": "vlm", "loaded_context_length": 8192}, {"id": "other"}]
        },
    }
    async with server(answers) as (url, _):
        told = [Told("m", 8192, 0, (("images", True),))]
        assert await ask_server(Profile(url, "", "m"), ["m"]) == told


async def test_a_server_whose_list_says_the_window_is_asked_no_more_than_needed() -> None:
    answers: dict[str, object] = {"/v1/models": {"data": [{"id": "m", "max_model_len": 2048}]}}
    async with server(answers) as (url, asked):
        assert await ask_server(Profile(url, "", "m"), ["m"]) == [Told("m", 2048)]
        assert asked == ["/v1/models", "/props", "/api/ps"]


async def test_a_server_that_is_not_there_tells_nothing() -> None:
    async with server({}) as (url, _):
        assert await ask_server(Profile(url, "", "m"), ["m"]) == []
    assert await ask_server(Profile(url, "", "m"), ["m"]) == []


async def test_a_policy_takes_up_what_its_servers_tell() -> None:
    async with server(LLAMA_CPP) as (url, _):
        profile = Profile(url, "k", "m", name="one")
        policy = Resilient(
            [Endpoint(profile, OpenAIModel(profile))], clock=ManualClock(), models=("m",)
        )
        await policy.introduce()
        info = policy.seen()[0].models[0]
        assert (info.window, info.simultaneous) == (2048, 1)
        assert policy.keys.line(Candidate(profile, "m")).bound == 1


async def test_a_server_that_comes_back_is_asked_again() -> None:
    """With another window: it was started anew. Not asked while it fails, nor twice at once."""
    answers = dict(LLAMA_CPP)
    async with server(answers) as (url, asked):
        profile, clock = Profile(url, "k", "m", name="one"), ManualClock()
        policy = Resilient([Endpoint(profile, OpenAIModel(profile))], clock=clock, models=("m",))
        await policy.introduce()
        answers["/props"] = {"total_slots": 2, "default_generation_settings": {"n_ctx": 4096}}
        asked.clear()
        policy.ended(ModelAttempt("one", "m", "first", "server"))
        await clock.advance(AGAIN_MS / 1000)
        assert not policy.introductions.wanted.is_set()
        policy.ended(ModelAttempt("one", "m", "first", ""))
        assert policy.introductions.wanted.is_set()
        await policy.introduce()
        await policy.introduce()
        assert asked == ["/v1/models", "/props"]
        assert policy.seen()[0].models[0].window == 4096
