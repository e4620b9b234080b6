"""Which model answers, and with `--online` whether its server takes the key."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from agents.base.profiles import Told
from gateway.cli.doctor.check import Finding, Level, Scene, fail, ok, warn
from gateway.cli.doctor.machine import SET_CLOCK, SKEW_S
from gateway.cli.model_servers import Listing, Way, find_base, list_models, other_bases
from gateway.composition.answering import local_weights, profiles, told_by, try_local
from gateway.core.errors import ConfigError
from gateway.core.suggestions import did_you_mean

WORDS = {
    "tools": "tools",
    "images": "pictures",
    "parallel_calls": "parallel calls",
    "system": "system messages",
}
"""Members of a request, in the words of people."""
FAR_S = 10.0
"""For a server anywhere: slow ones answer a list within a second or two."""


async def model(scene: Scene) -> Finding:
    """One `GET …/models` a key, nothing that costs anything."""
    settings = scene.settings
    if not settings.uses_openai:
        return await _built_in(scene)
    if any(name in problem for problem in scene.problems for name in ("LLM_", "llm_")):
        return fail("its settings do not fit, see above", "mend those first")
    try:
        keys = profiles(settings)
    except ConfigError as error:
        return fail(str(error), "see turngate config explain LLM_BASE_URL")
    where = ", ".join(dict.fromkeys(key.base_url for key in keys))
    if not scene.online:
        return ok(f"{settings.llm_model} at {where}; not asked, --online does")
    findings = []
    for key in keys:
        way = Way(key.authorities, key.proxy)
        listing = await list_models(key.base_url, key.api_key, within_s=FAR_S, way=way)
        meant = None
        if listing.unlisted:
            meant = await find_base(key.base_url, key.api_key, within_s=FAR_S, way=way)
        if meant is not None:
            findings.append(_misplaced(key.name, listing, meant))
        else:
            name = key.models[0] if key.models else settings.llm_model
            judged = _judged(name, key.name, listing)
            if judged.level is Level.OK:
                judged = ok(f"{judged.saw}; {_described(await told_by(key, name))}")
            findings.append(judged)
        findings.extend(_clocks(listing, scene.now_s))
    return _together(findings)


def _together(findings: Sequence[Finding]) -> Finding:
    """Every key that is not fine with its fix, or all of them."""
    wrong = [finding for finding in findings if finding.level is not Level.OK]
    level = Level.FAIL if any(each.level is Level.FAIL for each in wrong) else Level.WARN
    saw = "; ".join(dict.fromkeys(each.saw for each in wrong or findings))
    fix = "; ".join(dict.fromkeys(each.fix for each in wrong))
    return Finding(level if wrong else Level.OK, saw, fix)


def _clocks(listing: Listing, now_s: float) -> Iterator[Finding]:
    """What a wrong clock breaks shows elsewhere: expiry, schedules, certificates."""
    apart = round(abs(listing.at_s - now_s) / 60)
    if listing.at_s and apart * 60 > SKEW_S:
        yield warn(
            f"the clock of {listing.base_url} and this one are {apart} minutes apart", SET_CLOCK
        )


async def _built_in(scene: Scene) -> Finding:
    if scene.settings.llm_model:
        return warn(
            f"{scene.settings.llm_model} is not asked: TURNGATE_MODEL={scene.settings.provider}",
            "take TURNGATE_MODEL away; turngate config explain TURNGATE_MODEL says where it is set",
        )
    hint = "set LLM_BASE_URL, LLM_MODEL and LLM_API_KEY; turngate config explain tells each"
    if scene.settings.openai_api_key.get_secret_value():
        return warn(
            "OPENAI_API_KEY is set, but without LLM_MODEL it is not used",
            "set LLM_MODEL to the model you want, for example in turngate.toml",
        )
    if scene.settings.provider == "scripted":
        return warn("no real model is set: fixed rules answer", hint)
    return await _local(scene)


async def _local(scene: Scene) -> Finding:
    """The weights read and the process started for real: nothing else shows that it runs here."""
    cache = local_weights(scene.settings).cache
    stored = await asyncio.to_thread(cache.check)
    if stored is not None and stored.problem:
        return fail(
            f"the small local model is damaged: {stored.problem}",
            "turngate model remove, then turngate model pull",
        )
    trial = await try_local(None if stored is None else cache.path)
    if trial.problem:
        saw, _, fix = trial.problem.rpartition("; ")
        return fail(f"the small local model cannot run here: {saw}", fix)
    if stored is None:
        return ok("the small local model; its weights are fetched when they are needed")
    if trial.held:
        return ok(f"the small local model, which runs for a gateway already ({trial.held})")
    return ok("the small local model, whole, and it starts")


def _described(told: Sequence[Told]) -> str:
    """What a server tells of one of its models."""
    said = []
    for one in told:
        said += [f"a window of {one.window} tokens"] if one.window else []
        said += [f"{one.slots} at a time"] if one.slots else []
        said += [f"{'' if takes else 'no '}{WORDS[member]}" for member, takes in one.takes]
    return f"it tells: {', '.join(said)}" if said else "it tells nothing else of it"


def _others(listing: Listing) -> str:
    more = len(listing.models) - 1
    return f" with {more} more" if more else ""


def _misplaced(key: str, listing: Listing, meant: Listing) -> Finding:
    """Every call of a model would end in the same 404."""
    return fail(
        f"{listing.base_url} is not the base of that server's API ({_reason(listing)}), "
        f"{meant.base_url} is: it answers",
        f"set {_variable('LLM_BASE_URL', key)} to {meant.base_url}",
    )


def _reason(listing: Listing) -> str:
    return listing.problem or f"HTTP {listing.status}"


def _variable(name: str, key: str) -> str:
    return name if key == "default" else key.replace("key-", f"{name}_")


def _judged(model_name: str, key: str, listing: Listing) -> Finding:
    url = listing.base_url
    if listing.distrusted:
        return fail(
            f"the certificate of {url} is not trusted: {listing.distrusted}",
            "where an authority of your own has signed it, set LLM_CA_FILE to its certificate",
        )
    if listing.problem and not listing.unlisted:
        return fail(
            f"{url} does not answer: {listing.problem}",
            "is LLM_BASE_URL right, and is the server running?",
        )
    if listing.status in (401, 403):
        name = _variable("LLM_API_KEY", key)
        return fail(
            f"{url} refuses the key in {name} (HTTP {listing.status})",
            f"set {name} to a key of that server",
        )
    if listing.unlisted:
        tried = "".join(f", nor has {each}" for each in other_bases(url))
        return warn(
            f"{url} has no list of models ({_reason(listing)}){tried}",
            "see that server's documentation for its base URL; if this one is right, try: "
            "turngate send hello",
        )
    if listing.status != 200:
        return fail(
            f"{url} answers with HTTP {listing.status}", "see that server's own log or page"
        )
    if model_name not in listing.models:
        hint = did_you_mean(
            model_name, listing.models, otherwise=f"it has {', '.join(listing.models[:5])}"
        )
        return warn(f"{url} does not list {model_name}", f"set LLM_MODEL; {hint}")
    return ok(f"{model_name} at {url}, which takes the key and lists it{_others(listing)}")
