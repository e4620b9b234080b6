"""Which model answers; asked only when that is wanted, and once a key."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from pydantic import SecretStr

from gateway.cli.doctor.check import Level
from gateway.cli.doctor.model import model
from gateway.composition.answering import local_weights, who_answers
from gateway.core.clock import SystemClock
from tests.support.canned import canned
from tests.unit.gateway.cli.doctor.scene import scene

MODELS = json.dumps({"data": [{"id": "large-model"}, {"id": "small"}]}).encode()
KEY = SecretStr("sk-not-to-be-seen")


def now_s() -> float:
    """When the canned server answers, which tells its clock: minutes after this file was read."""
    return SystemClock().now_ms() / 1000


async def test_without_a_model_the_way_to_one_is_told(tmp_path: Path) -> None:
    finding = await model(scene(tmp_path, openai_api_key=SecretStr(""), turngate_model="scripted"))
    assert finding.level is Level.WARN
    assert "LLM_BASE_URL" in finding.fix
    finding = await model(scene(tmp_path, openai_api_key=KEY))
    assert "OPENAI_API_KEY" in finding.saw


async def test_a_model_that_is_set_and_not_asked_is_told(tmp_path: Path) -> None:
    """As after the first page, which has its reader choose the scripted one."""
    here = scene(tmp_path, turngate_model="scripted", llm_model="large-model")
    finding = await model(here)
    assert finding.level is Level.WARN
    for said in (finding.saw, who_answers(here.settings)[-1]):
        assert "large-model is not asked" in said
        assert "TURNGATE_MODEL=scripted" in said


async def test_weights_that_are_damaged_are_a_failure(tmp_path: Path) -> None:
    here = scene(tmp_path, openai_api_key=SecretStr(""), turngate_model="local")
    assert (await model(here)).level is Level.OK
    cache = local_weights(here.settings).cache
    await asyncio.to_thread(_spoil, cache.path)
    finding = await model(here)
    assert finding.level is Level.FAIL
    assert "turngate model pull" in finding.fix


def _spoil(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"cut")


async def test_it_is_not_asked_unless_that_is_wanted(tmp_path: Path) -> None:
    with canned(MODELS) as server:
        finding = await model(scene(tmp_path, llm_model="small", llm_base_url=server.base_url))
    assert finding.level is Level.OK
    assert not server.asked


@pytest.mark.parametrize(
    ("status", "name", "level", "said"),
    [
        (200, "small", Level.OK, "small at"),
        (200, "large-modle", Level.WARN, "did you mean 'large-model'?"),
        (200, "zzz", Level.WARN, "it has large-model, small"),
        (401, "small", Level.FAIL, "LLM_API_KEY"),
        (403, "small", Level.FAIL, "LLM_API_KEY"),
        (404, "small", Level.WARN, "has no list of models (HTTP 404)"),
        (500, "small", Level.FAIL, "HTTP 500"),
    ],
)
async def test_its_answer_is_judged(
    tmp_path: Path, status: int, name: str, level: Level, said: str
) -> None:
    with canned(MODELS, status=status) as server:
        finding = await model(
            scene(
                tmp_path,
                online=True,
                llm_model=name,
                llm_base_url=server.base_url,
                llm_api_key=KEY,
                now_s=now_s(),
            )
        )
    assert finding.level is level
    assert said in finding.saw + finding.fix
    assert "sk-not" not in finding.saw + finding.fix
    assert server.asked[0] == ("/v1/models", "Bearer sk-not-to-be-seen")


async def test_what_the_server_tells_of_the_model_is_shown(tmp_path: Path) -> None:
    listed = {"data": [{"id": "small", "max_context_length": 32_768,
                        "capabilities": {"function_calling": True, "vision": False}},
                       {"id": "large"}]}  # fmt: skip
    with canned(json.dumps(listed).encode(), only="/v1/models") as server:
        finding = await model(
            scene(
                tmp_path,
                online=True,
                llm_model="small",
                llm_base_url=server.base_url,
                now_s=now_s(),
            )
        )
    assert finding.level is Level.OK
    assert finding.saw.endswith(
        "which takes the key and lists it with 1 more; it tells: a window of 32768 tokens, tools, "
        "no pictures"
    )


@pytest.mark.parametrize("wrong", ["", "/", "/v1/chat/completions", "/v1/models"])
async def test_an_address_beside_the_right_one_is_named_with_it(tmp_path: Path, wrong: str) -> None:
    """Without `/v1`, or with the path of a method, every turn would end in a 404."""
    with canned(MODELS, only="/v1/models") as server:
        base = server.base_url.removesuffix("/v1")
        finding = await model(
            scene(
                tmp_path,
                online=True,
                llm_model="small",
                llm_base_url=base + wrong,
                llm_api_key=KEY,
                now_s=now_s(),
            )
        )
    assert finding.level is Level.FAIL
    assert f"{base}/v1 is: it answers" in finding.saw
    assert finding.fix == f"set LLM_BASE_URL to {base}/v1"


async def test_where_no_address_has_a_list_those_that_were_tried_are_named(tmp_path: Path) -> None:
    with canned(b"<html>") as server:
        base = server.base_url.removesuffix("/v1")
        finding = await model(
            scene(tmp_path, online=True, llm_model="small", llm_base_url=base, now_s=now_s())
        )
    assert finding.level is Level.WARN
    assert f"{base} has no list of models" in finding.saw
    assert f"nor has {base}/v1" in finding.saw


async def test_settings_that_do_not_fit_are_not_tried(tmp_path: Path) -> None:
    finding = await model(
        scene(tmp_path, online=True, llm_base_url="x", problems=("LLM_BASE_URL = x: no address",))
    )
    assert finding.level is Level.FAIL


async def test_every_key_that_is_refused_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LLM_API_KEY_1", "LLM_API_KEY_2"):
        monkeypatch.setenv(name, f"sk-not-to-be-seen-{name[-1]}")
    with canned(MODELS, status=401) as server:
        finding = await model(
            scene(
                tmp_path,
                online=True,
                llm_model="small",
                llm_base_url=server.base_url,
                now_s=now_s(),
            )
        )
    assert finding.level is Level.FAIL
    assert "LLM_API_KEY_1" in finding.fix
    assert "LLM_API_KEY_2" in finding.fix


@pytest.mark.parametrize(("ahead_s", "level"), [(200, Level.OK), (-900, Level.WARN)])
async def test_a_clock_that_differs_from_the_servers_is_a_warning(
    tmp_path: Path, ahead_s: float, level: Level
) -> None:
    with canned(MODELS) as server:
        finding = await model(
            scene(
                tmp_path,
                online=True,
                llm_model="small",
                llm_base_url=server.base_url,
                now_s=now_s() + ahead_s,
            )
        )
    assert finding.level is level
    assert ("15 minutes apart" in finding.saw) == (level is Level.WARN)
