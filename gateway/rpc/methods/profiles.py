"""Keys and models: who answers, who rests until when, and ending a pause by hand."""

from __future__ import annotations

from agents.base.profiles import ModelAtProfile, ProfileInfo
from gateway.core.errors import NotFound
from gateway.identity.principal import Scope
from gateway.rpc.call import Call
from gateway.rpc.method import Method
from gateway.wire.methods import profiles as wire
from gateway.wire.methods.base import NoParams


async def list_(call: Call, params: NoParams) -> wire.ProfileList:
    """How each model does at each key; a model that needs none stands under its own name."""
    rows = [_entry(info, at) for info in call.gateway.profiles.seen() for at in info.models]
    return wire.ProfileList(profiles=rows)


async def clear(call: Call, params: wire.ClearProfiles) -> wire.Cleared:
    """End the pauses of one profile, or of all."""
    profiles = call.gateway.profiles
    known = [info.name for info in profiles.seen()]
    if params.profile is not None and params.profile not in known:
        have = ", ".join(known) or "none"
        raise NotFound(f"there is no profile {params.profile!r}; there are: {have}")
    return wire.Cleared(cleared=profiles.clear(params.profile or ""))


async def models(call: Call, params: NoParams) -> wire.ModelList:
    """The models in the order they are asked for."""
    found: dict[str, list[tuple[str, ModelAtProfile]]] = {}
    for info in call.gateway.profiles.seen():
        for at in info.models:
            found.setdefault(at.model, []).append((info.name, at))
    return wire.ModelList(
        models=[
            wire.ModelEntry(
                model=model,
                state="ready" if any(at.state == "ready" for _, at in places) else "resting",
                profiles=[name for name, _ in places],
                window=max(at.window for _, at in places),
                output=max(at.output for _, at in places),
                tools=any(at.tools for _, at in places),
                images=any(at.images for _, at in places),
                simultaneous=_together([at.simultaneous for _, at in places]),
                left_out=sorted({member for _, at in places for member in at.left_out}),
            )
            for model, places in found.items()
        ]
    )


def _together(bounds: list[int]) -> int:
    """All bounds together; one key without makes none."""
    return sum(bounds) if all(bounds) else 0


def _entry(info: ProfileInfo, at: ModelAtProfile) -> wire.ProfileEntry:
    return wire.ProfileEntry(
        profile=info.name,
        model=at.model,
        state=at.state,
        category=at.category,
        failures=at.failures,
        back_at=at.until_ms or None,
        window=at.window,
        output=at.output,
        tools=at.tools,
        images=at.images,
        simultaneous=at.simultaneous,
        left_out=list(at.left_out),
        base_url=info.base_url,
    )


LIST = Method("profiles.list", Scope.OPERATOR, list_)
CLEAR = Method("profiles.clear", Scope.OPERATOR, clear, errors=(NotFound,))
MODELS = Method("models.list", Scope.READ, models)
