"""The side of the OpenAI client that holds the SDK: one streamed request, every way it can end.

Imported on first use by `openai`, in a thread, because it is slow to import. The SDK builds, sends
and splits into events; it does not retry, and what the events mean is decided by `openai_answer`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import httpx2
import openai
from openai import AsyncOpenAI, AsyncStream, Omit

from agents.base.models import ModelContext, ModelReply, ModelRequest
from agents.models import openai_request
from agents.models.bounded_transport import BodyRefused, BoundedTransport
from agents.models.classify import blame, row_of
from agents.models.left import read_left
from agents.models.openai_answer import Answer, UpstreamError
from agents.models.profile import Profile, Timeouts
from agents.models.refusal import Refusal, read_refusal
from agents.models.upstream_transport import UpstreamTransport
from gateway.core.errors import Blame, ModelCategory, ModelFailed

MAX_QUOTED_CHARS = 300
"""As much of a provider's error text is passed on to the operator."""

MAX_CONNECTIONS = 1024
"""To one server at once: a bound on files and memory. How many calls a key makes is bounded above.
"""

MAX_IDLE = 16
"""Connections kept for the next request; more would be a burst that is over."""

_NOT_OURS: dict[str, str | Omit] = {"OpenAI-Organization": Omit(), "OpenAI-Project": Omit()}
"""The SDK would take these from the environment and send them to whatever host is configured."""

_SECRETS = re.compile(r"\bsk-\S{4,}|\bbearer\s+\S+|\bkey[=:]\s*\S+", re.IGNORECASE)


class SdkConnection:
    """An open client for one profile."""

    def __init__(self, profile: Profile, timeouts: Timeouts) -> None:
        self._profile = profile
        self._host = host = httpx2.URL(profile.base_url).host
        # The servers of OpenAI refuse the old name for newer models, most others know no new one.
        newer = host.endswith(("openai.com", "openai.azure.com"))
        self._limit_field = "max_completion_tokens" if newer else "max_tokens"
        # Said with each request: the SDK lets a variable of the environment replace the key.
        key = f"Bearer {profile.api_key}" if profile.api_key else Omit()
        self._headers = _NOT_OURS | {"Authorization": key}
        self._client = AsyncOpenAI(
            # Without a key the SDK would take one from the environment; the header is left out.
            api_key=profile.api_key or "none",
            base_url=profile.base_url,
            max_retries=0,
            timeout=httpx2.Timeout(timeouts.idle_s, connect=timeouts.connect_s),
            http_client=_http_client(profile),
        )

    async def ask(self, request: ModelRequest, context: ModelContext) -> ModelReply:
        """One request, one answer; raises only `ModelFailed`.

        Failures are raised outside of the handlers: what the SDK raised holds the request with its
        key and text of the provider, and must not travel along as context into a log.
        """
        answer = Answer()
        body = openai_request.to_json(
            request, model=request.model or self._profile.model, limit_field=self._limit_field
        )
        try:
            headers = await self._stream(body, context, answer)
            left = read_left(headers, now_ms=context.clock.now_ms())
            reply = answer.reply(self._profile.name)
            return replace(reply, left=left) if left is not None else reply
        except openai.APIStatusError as error:
            told, now_ms = error.response.headers, context.clock.now_ms()
            failure = self._refused(
                read_refusal(error.body, status=error.status_code, headers=told, now_ms=now_ms)
            )
        except openai.APIConnectionError as error:
            failure = self._unreached(error, begun=answer.begun)
        except openai.APIError as error:  # an error event in the stream
            failure = self._refused(read_refusal(error.body or error.message))
        except UpstreamError as error:
            failure = self._refused(read_refusal(error.body))
        except (ModelFailed, BodyRefused, ValueError, RecursionError) as error:
            failure = self._unusable(error)
        except RuntimeError:
            if not self._client.is_closed():
                raise
            failure = self._failed("server", "was asked after the client had been closed")
        raise failure

    async def close(self) -> None:
        """Close every connection; answers under way fail."""
        await self._client.close()

    async def _stream(self, body: Any, context: ModelContext, answer: Answer) -> Mapping[str, str]:
        """Feed the answer; returns the headers it came with."""
        create = self._client.chat.completions.with_streaming_response.create
        # As `extra_body` it leaves as it is. The SDK would look at each member of each message for
        # what it has to rename or upload, which is nothing, and took half the CPU of a whole turn.
        asking = create(
            model=body["model"],
            messages=[],
            stream=True,
            extra_body=body,
            extra_headers=self._headers,
        )
        async with asking as response:
            kind = response.headers.get("content-type", "").lower()
            if "json" in kind or "html" in kind:
                # Asked for a stream and got a document: taken when it is an answer.
                _pass_on(answer.feed(_document(await response.read())), context)
                return response.headers
            async for event in await response.parse(to=AsyncStream[object]):
                _pass_on(answer.feed(event), context)
            return response.headers

    def _unreached(self, error: openai.APIConnectionError, *, begun: bool) -> ModelFailed:
        if isinstance(error, openai.APITimeoutError):
            return self._failed("timeout", "did not answer in time")
        cause = type(error.__cause__ or error).__name__
        if begun:
            return self._failed("truncated", f"broke the answer off ({cause})")
        return self._failed("server", f"could not be reached ({cause})", blame=Blame("server"))

    def _unusable(self, error: Exception) -> ModelFailed:
        match error:
            case ModelFailed():
                return self._failed(error.category, f"sent no usable answer: {error}")
            case BodyRefused():
                return self._failed("bad_response", str(error))
            case _:
                # Broken JSON, broken UTF-8, numbers of a million digits, brackets without end.
                return self._failed("bad_response", f"sent garbage ({type(error).__name__})")

    def _refused(self, refusal: Refusal) -> ModelFailed:
        status = f" with status {refusal.status}" if refusal.status else ""
        said = f": {self._quoted(refusal.message)}" if refusal.message else ""
        row = row_of(refusal, host=self._host)
        return self._failed(
            row.category,
            f"refused{status}{said}",
            retry_after_ms=refusal.retry_after_ms,
            window=refusal.sizes.window if row.subject == "request" else 0,
            blame=blame(refusal, row),
        )

    def _failed(
        self,
        category: ModelCategory,
        what: str,
        *,
        retry_after_ms: int | None = None,
        window: int = 0,
        blame: Blame | None = None,
    ) -> ModelFailed:
        message = f"the model server of profile {self._profile.name!r} {what}"
        return ModelFailed(
            category, message, retry_after_ms=retry_after_ms, window=window, blame=blame
        )

    def _quoted(self, text: str) -> str:
        """Text of the provider for the operator's eyes: one line, bounded, without the key."""
        if self._profile.api_key:
            text = text.replace(self._profile.api_key, "[key]")
        line = " ".join(_SECRETS.sub("[key]", text[: 4 * MAX_QUOTED_CHARS]).split())
        return "".join(char for char in line if char.isprintable())[:MAX_QUOTED_CHARS]


def _http_client(profile: Profile) -> httpx2.AsyncClient:
    """A client that goes nowhere but to the server asked for.

    `trust_env` is off: variables of the environment would send requests for a model on this
    machine to a proxy, and a .netrc entry for the host would replace the key. Redirects are off,
    so the key stays with its host. Answers are asked for uncompressed, which makes the bound on
    the body a bound on memory.
    """
    return httpx2.AsyncClient(
        transport=BoundedTransport(_transport(profile)),
        trust_env=False,
        follow_redirects=False,
        headers={"Accept-Encoding": "identity"},
    )


def _transport(profile: Profile) -> httpx2.AsyncBaseTransport:
    context = httpx2.create_ssl_context(trust_env=False)
    if not profile.proxy:
        return UpstreamTransport(
            context,
            max_connections=MAX_CONNECTIONS,
            max_idle=MAX_IDLE if profile.keep_alive else 0,
        )
    # That of httpx2 knows every kind of proxy, but hands what is left of one response to the next
    # request on the connection: so none of its connections gets a second one.
    limits = httpx2.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=0)
    return httpx2.AsyncHTTPTransport(
        verify=context, trust_env=False, proxy=profile.proxy, limits=limits
    )


def _pass_on(text: str, context: ModelContext) -> None:
    if text:
        context.emit(text)


def _document(data: bytes) -> object:
    text = data.decode("utf-8")
    if text.lstrip().startswith("<"):
        raise ModelFailed("bad_response", "a web page came; the base URL is probably wrong")
    document = json.loads(text)
    if isinstance(document, str):
        raise UpstreamError(document)
    return document
