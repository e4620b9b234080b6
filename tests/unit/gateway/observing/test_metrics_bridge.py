"""What a gateway does shows in the numbers of `/metrics`, asked for over HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from channels.memory import MemoryChannel
from gateway.composition.root import Chosen
from gateway.composition.serving import serving
from gateway.running import Gateway
from gateway.settings.network import TOKEN_FILE
from gateway.settings.settings import Settings
from gateway.telemetry.health import REASONS, Thresholds
from tests.support.house import PatientModel
from tests.support.standins import Brisk

pytestmark = pytest.mark.timeout(20)

Numbers = dict[str, dict[str, float]]
"""Values by family, then by sample and labels."""


@dataclass
class Running:
    """A gateway that listens, with a channel that can be seen into."""

    gateway: Gateway
    http: httpx.AsyncClient
    model: PatientModel
    memory: MemoryChannel
    first: Numbers = field(default_factory=dict)

    async def numbers(self) -> Numbers:
        page = await self.http.get("/metrics")
        return {
            family.name: {
                f"{sample.name} {' '.join(sorted(sample.labels.values()))}".strip(): sample.value
                for sample in family.samples
            }
            for family in text_string_to_metric_families(page.text)
            if not family.name.endswith("_created")
        }

    async def moved(self) -> set[str]:
        """The families of which a value is not what it was at the start."""
        now = await self.numbers()
        return {name for name, samples in now.items() if samples != self.first[name]}

    async def call(self, method: str, **params: Any) -> Any:
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return (await self.http.post("/rpc", json=request)).json()["result"]


@asynccontextmanager
async def running(home: Path) -> AsyncIterator[Running]:
    model, memory = PatientModel(), MemoryChannel()
    settings = Settings(
        turngate_home=home / "home",
        workspace_dir=home / "workspace",
        turngate_port=0,
        turngate_model="scripted",
    )
    async with serving(
        settings,
        channels=[memory],
        own_process=False,
        announce=lambda url: None,
        chosen=Chosen(model=model, clock=Brisk()),
    ) as served:
        token = (home / "home" / TOKEN_FILE).read_text("utf-8").strip()
        headers = {"Authorization": f"Bearer {token}"}
        url = served.server.url
        async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False) as http:
            found = Running(served.gateway, http, model, memory)
            found.first = await found.numbers()
            yield found


async def test_every_number_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each family there is, so that none is registered that nobody feeds."""
    monkeypatch.setitem(REASONS, "model_not_open", Thresholds(1, 0, hold_s=0))
    async with running(tmp_path) as place:
        await place.call("send", text="good morning")
        await place.call("send", text="fail bad_request", peer_id="unlucky")
        await place.call("send", text="over there", channel="memory", peer_id="ann")
        assert (await place.memory.next_sent()).text == "You said: over there"
        assert (await place.http.get("/", headers={"Host": "elsewhere"})).status_code == 421
        await place.call("turns.start", text="hold one", peer_id="slow")
        await place.model.gates["one"].entered.wait()
        moved: set[str] = set()
        while not moved >= {"turngate_deliveries", "turngate_loop_lag_seconds"}:
            moved = await place.moved()
        now = await place.numbers()
        assert now["turngate_turns_ended"]["turngate_turns_ended_total answered"] == 2
        assert now["turngate_turns_ended"]["turngate_turns_ended_total failed"] == 1
        assert now["turngate_turns"]["turngate_turns running"] == 1
        assert now["turngate_queue_depth"]["turngate_queue_depth conversations"] == 1
        assert now["turngate_deliveries"]["turngate_deliveries_total sent"] == 1
        calls = now["turngate_llm_requests"]
        assert calls["turngate_llm_requests_total ok scripted"] == 2
        assert calls["turngate_llm_requests_total bad_request scripted"] == 1
        assert now["turngate_llm_tokens"]["turngate_llm_tokens_total output scripted"] > 0
        batches = now["turngate_store_batch_units"]
        assert batches["turngate_store_batch_units_sum"] >= 6
        assert now["turngate_shed"]["turngate_shed_total host"] == 1
        # These had moved before the first look.
        assert now["turngate_health"]["turngate_health ready"] == 1
        assert now["turngate_connections"]["turngate_connections http"] == 1
        families = set(now)
        place.gateway.opening.failed("gone")
        while "turngate_health_reasons" not in moved:
            moved |= await place.moved()
        place.gateway.lanes.hurry()
    async with running(tmp_path) as place:  # the turn that was held goes on
        await place.model.gates["one"].entered.wait()
        resumed = (await place.numbers())["turngate_turns_resumed"]
        assert resumed == {"turngate_turns_resumed_total": 1}
        place.model.gates["one"].release()
    assert families - moved == {"turngate_turns_resumed", "turngate_connections"}
