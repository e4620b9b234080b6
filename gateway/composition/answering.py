"""Who answers: the models and keys of the settings, put together into the one model of all turns.

A part of the composition root: it chooses concrete models, and starts none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from agents.base.models import Limits, Model, ModelRequest
from agents.base.profiles import Profiles, Told
from agents.models.fetching import Fetcher, Progress
from agents.models.introduction import ask_server
from agents.models.local import LocalModel
from agents.models.local_trial import Trial, try_start
from agents.models.openai import OpenAIModel
from agents.models.profile import LOCAL, Profile
from agents.models.scripted import ScriptedModel
from agents.models.weights import SMOLLM2, WeightsCache
from agents.resilience.budgets import Budget, Budgeted
from agents.resilience.keyless import Keyless
from agents.resilience.policy import Endpoint, Resilient
from gateway.core.clock import Clock, SystemClock
from gateway.core.ids import Ids, SystemIds
from gateway.settings.keys import OPENAI_URL, NumberedKey
from gateway.settings.settings import Settings
from gateway.store.base.store import Store
from gateway.turns.opening import Opening, OpeningModel
from gateway.turns.profile_state import StoredProfileState
from gateway.turns.spending import StoredSpending


class _Taken(TypedDict):
    tools: bool
    images: bool
    without: frozenset[str]
    pinned: frozenset[str]


@dataclass(frozen=True, slots=True)
class Answering:
    """The model of all turns, and what others look at of how it is made.

    `policy` is None where the model needs no key.
    """

    model: OpeningModel
    opening: Opening
    policy: Resilient | None
    profiles: Profiles
    budgeted: Budgeted
    limits: Callable[[ModelRequest], Limits]
    """What is known of the model that would be asked first."""
    given: bool = False
    """Whether the model came from outside, so that its servers are not the settings'."""

    async def introduce(self) -> None:
        """Ask the model servers what they tell of themselves, whenever one is due, until
        cancelled; nothing waits for it."""
        while self.policy is not None and not self.given:
            await self.policy.introduce()
            await self.policy.introductions.wanted.wait()

    async def refresh(self, now_ms: int) -> None:
        """Hear what other processes have learnt of keys and used of budgets."""
        if self.policy is not None:
            await self.policy.keys.standings.load()
        await self.budgeted.refresh(now_ms)


def answering(
    settings: Settings,
    clock: Clock,
    ids: Ids,
    store: Store,
    *,
    given: Model | None,
    progress: Progress | None,
) -> Answering:
    """The model of the settings, or the `given` one; `progress` hears of a download too."""
    opening = Opening()

    def fetched(done: int, total: int) -> None:
        opening.fetched(done, total)
        if progress is not None:
            progress(done, total)

    asked = given or _model(settings, clock, ids, store, fetched)
    policy = asked if isinstance(asked, Resilient) else None
    watched = policy or _keyless(asked, settings)
    budgeted = Budgeted(watched, _budget(settings), StoredSpending(store), clock.now_ms())
    known = asked if isinstance(asked, Resilient | LocalModel) else None
    return Answering(
        OpeningModel(budgeted, opening),
        opening,
        policy,
        watched,
        budgeted,
        known.limits if known is not None else lambda request: Limits(),
        given=given is not None,
    )


def _model(settings: Settings, clock: Clock, ids: Ids, store: Store, fetched: Progress) -> Model:
    if settings.provider == "scripted":
        return ScriptedModel()
    if settings.provider == "local":
        return LocalModel(local_weights(settings), clock, ids, progress=fetched)
    endpoints = [Endpoint(profile, OpenAIModel(profile)) for profile in profiles(settings)]
    if LOCAL in settings.llm_fallback_models:
        local = LocalModel(local_weights(settings), clock, ids, progress=fetched)
        endpoints.append(Endpoint(LocalModel.profile, local))
    return Resilient(
        endpoints,
        clock=clock,
        state=StoredProfileState(store, clock),
        strategy=settings.turngate_profile_strategy,
        models=models(settings),
    )


def _keyless(model: Model, settings: Settings) -> Keyless:
    if settings.provider == "local":
        inside = LocalModel.profile
        return Keyless(model, settings.answering, window=inside.window, tools=inside.tools)
    return Keyless(model, settings.answering)


def who_answers(settings: Settings) -> tuple[str, ...]:
    """What people should know of the model: a sentence or two, each a line of a terminal."""
    if settings.provider == "local":
        who = f"The small local model {SMOLLM2.name} answers: fit to try, often wrong."
    elif settings.provider == "scripted":
        who = "The scripted model answers: no key, no network, no thought."
    else:
        return (f"{settings.llm_model} answers.",)
    if settings.llm_model:
        forced = f"TURNGATE_MODEL={settings.turngate_model}"
        return who, f"{settings.llm_model} is not asked, because {forced} is set."
    return who, "For a better one set LLM_BASE_URL, LLM_MODEL and LLM_API_KEY."


def local_weights(settings: Settings) -> Fetcher:
    """The weights of the local model in this machine's cache, and how to get them there."""
    return Fetcher(WeightsCache(settings.cache / "models"), SystemClock())


async def told_by(profile: Profile, model: str) -> list[Told]:
    """What the server of a profile tells of one of its models, asked now; empty for nothing."""
    return await ask_server(profile, [model])


async def try_local(weights: Path | None) -> Trial:
    """Whether the local model runs on this machine, found out by starting it."""
    clock = SystemClock()
    return await try_start(weights, key=SystemIds(clock).secret(), clock=clock)


def _budget(settings: Settings) -> Budget:
    return Budget(
        turn_calls=settings.turngate_turn_calls,
        turn_tokens=settings.turngate_turn_tokens,
        root_tokens=settings.turngate_root_tokens,
        session_day_tokens=settings.turngate_session_day_tokens,
        agent_day_tokens=settings.turngate_agent_day_tokens,
        day_tokens=settings.turngate_day_tokens,
    )


def models(settings: Settings) -> tuple[str, ...]:
    """The order in which models are tried for agents that name none."""
    return (settings.answering, *settings.llm_fallback_models)


MEMBERS = {
    "tools": "llm_tools",
    "images": "llm_images",
    "stream_options": "llm_stream_options",
    "system": "llm_system_role",
    "parallel_calls": "llm_parallel_calls",
}
"""Members of a request, and the setting that says whether a server takes them."""


def profiles(settings: Settings) -> tuple[Profile, ...]:
    """The keys of these settings in order, each bound to its address; one key is there once."""
    said = {
        member: bool(getattr(settings, name))
        for member, name in MEMBERS.items()
        if name in settings.model_fields_set
    }
    shared = Profile(
        settings.llm_base_url or OPENAI_URL,
        settings.model_key,
        settings.llm_model,
        models=settings.llm_models,
        window=settings.llm_context_window,
        output=settings.llm_output_limit,
        simultaneous=settings.llm_simultaneous_requests,
        limit_name=settings.llm_limit_name,
        requests_a_minute=settings.llm_requests_per_minute,
        tokens_a_minute=settings.llm_tokens_per_minute,
        proxy=settings.llm_proxy.get_secret_value(),
        authorities=settings.authorities,
        **_taken(said),
    )
    found = [shared] if shared.api_key or not settings.llm_keys else []
    found += [_numbered(key, shared, said, settings.elsewhere(key)) for key in settings.llm_keys]
    unique: dict[tuple[str, ...], Profile] = {}
    for profile in found:
        unique.setdefault((profile.base_url, profile.api_key, *profile.models), profile)
    return tuple(unique.values())


def _numbered(
    key: NumberedKey, shared: Profile, said: Mapping[str, bool], elsewhere: bool
) -> Profile:
    """What is said of a server holds for every key that belongs there."""
    own = {
        member: takes
        for member, name in MEMBERS.items()
        if (takes := getattr(key, name.removeprefix("llm_"))) is not None
    }
    common = Profile(shared.base_url, "", shared.model) if elsewhere else shared
    return Profile(
        key.base_url or shared.base_url,
        key.api_key.get_secret_value(),
        shared.model,
        name=f"key-{key.number}",
        models=key.models or common.models,
        window=key.context_window or shared.window,
        output=key.output_limit or common.output,
        simultaneous=key.simultaneous_requests or common.simultaneous,
        limit_name=key.limit_name or common.limit_name,
        requests_a_minute=key.requests_per_minute or common.requests_a_minute,
        tokens_a_minute=key.tokens_per_minute or common.tokens_a_minute,
        proxy=key.proxy.get_secret_value() or common.proxy,
        authorities=shared.authorities,
        **_taken(own if elsewhere else {**said, **own}),
    )


def _taken(said: Mapping[str, bool]) -> _Taken:
    """What the settings say of members of a request, as a profile holds it."""
    others = said.keys() - {"tools", "images"}
    return {
        "tools": said.get("tools", True),
        "images": said.get("images", True),
        "without": frozenset(member for member in others if not said[member]),
        "pinned": frozenset(member for member, takes in said.items() if takes),
    }
