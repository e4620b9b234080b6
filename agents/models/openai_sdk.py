"""The side of the OpenAI client that holds the SDK: one streamed request, every way it can end.

Imported on first use by `openai`, in a thread, because it is slow to import. The SDK builds and
sends; it does not retry. What comes back is read by `openai_reading`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import httpx2
import openai
import structlog
from openai import AsyncOpenAI, Omit

from agents.base.models import ModelContext, ModelReply, ModelRequest
from agents.models import openai_request
from agents.models.bounded_transport import BodyRefused, BoundedTransport
from agents.models.classify import blame, row_of
from agents.models.left import read_left
from agents.models.openai_answer import Answer, UpstreamError
from agents.models.openai_beside import MAX_BYTES
from agents.models.openai_events import WebPage
from agents.models.openai_reading import read_answer
from agents.models.openai_usage import Asked
from agents.models.profile import Profile, Timeouts
from agents.models.refusal import Refusal, read_refusal
from agents.models.upstream_transport import UpstreamTransport
from gateway.core.errors import Blame, ModelCategory, ModelFailed
from gateway.core.trust import distrust, trust

log = structlog.get_logger(__name__)

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
        self._headers = _NOT_OURS | {"Authorization": key, "Content-Type": "application/json"}
        self._thinks_unopened: set[str] = set()
        self._doubted = self._told_dropped = False
        self._client = AsyncOpenAI(
            # Without a key the SDK would take one from the environment; the header is left out.
            api_key=profile.api_key or "none",
            base_url=profile.base_url,
            max_retries=0,
            timeout=httpx2.Timeout(timeouts.idle_s, connect=timeouts.connect_s),
            http_client=_http_client(profile),
        )

    async def ask(self, request: ModelRequest, context: ModelContext) -> ModelReply:
        """One answer; raises only `ModelFailed`. Cancelling closes the connection.

        It takes one request, or a second one without streaming where the first brought no event.
        Failures are raised outside of the handlers: what the SDK raised holds the request with its
        key and text of the provider, and must not travel along as context into a log.
        """
        try:
            return await self._answered(request, context)
        except openai.APIStatusError as error:
            told, now_ms = error.response.headers, context.clock.now_ms()
            failure = self._refused(
                read_refusal(error.body, status=error.status_code, headers=told, now_ms=now_ms)
            )
        except (openai.APIConnectionError, httpx2.TransportError) as error:
            failure = self._unreached(error)
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

    async def _answered(self, request: ModelRequest, context: ModelContext) -> ModelReply:
        model = request.model or self._profile.model
        body = openai_request.to_json(
            request, model=model, limit_field=self._limit_field, profile=self._profile.name
        )
        body |= self._profile.extra
        data = openai_request.encoded(body)
        asked = Asked(len(data), openai_request.count_images(request), request.max_tokens)
        answer = Answer(asked, opened=model in self._thinks_unopened)
        headers = await self._exchange(data, answer, context)
        if answer.silent:
            # llama-cpp-python fails behind the head of a stream; without one it says what failed.
            data = openai_request.encoded(openai_request.without_stream(body))
            headers = await self._exchange(data, answer, context)
        if headers is None:
            raise ModelFailed("server", "the connection ended before it")
        if answer.misled:
            self._thinks_unopened.add(model)
        self._doubt(answer.doubt)
        reply = answer.reply(self._profile.name, model)
        self._tell_dropped(dropped=answer.dropped)
        left = read_left(headers, now_ms=context.clock.now_ms())
        return replace(reply, left=left) if left is not None else reply

    async def _exchange(
        self, data: bytes, answer: Answer, context: ModelContext
    ) -> Mapping[str, str] | None:
        """Send one request and feed what comes; returns the headers it came with, None if the
        connection broke before the first event."""
        # As bytes it leaves as it is: the SDK would look at each member of each message for what
        # it has to rename or upload, which is nothing, and took half the CPU of a whole turn.
        response = await self._client.post(
            "/chat/completions",
            cast_to=httpx2.Response,
            content=data,
            options={"headers": self._headers},
            stream=True,
        )
        assert isinstance(response, httpx2.Response)  # as it was asked for
        try:
            await read_answer(response.aiter_raw(), answer, context)
        except httpx2.TransportError as error:
            if not answer.silent or isinstance(error, httpx2.TimeoutException):
                raise
            return None
        finally:
            await response.aclose()
        return response.headers

    def _doubt(self, doubt: str) -> None:
        """Tell the operator of counts that cannot be; once, because they come with each answer."""
        if doubt and not self._doubted:
            self._doubted = True
            log.warning("model.impossible_count", profile=self._profile.name, reason=doubt)

    def _tell_dropped(self, *, dropped: bool) -> None:
        """Tell the operator, once, of thoughts that are too long to be sent back."""
        if dropped and not self._told_dropped:
            self._told_dropped = True
            log.warning("model.thoughts_dropped", profile=self._profile.name, most_bytes=MAX_BYTES)

    def _unreached(self, error: Exception) -> ModelFailed:
        if isinstance(error, openai.APITimeoutError | httpx2.TimeoutException):
            return self._failed("timeout", "did not answer in time")
        cause = type(error.__cause__ or error).__name__
        if why := distrust(error):
            return self._failed(
                "server",
                f"has a certificate that is not trusted ({why}); for an authority of your own set "
                "LLM_CA_FILE",
                blame=Blame("server"),
            )
        if isinstance(error, httpx2.TransportError):  # raised by the SDK only before the answer
            return self._failed("truncated", f"broke the answer off ({cause})")
        return self._failed("server", f"could not be reached ({cause})", blame=Blame("server"))

    def _unusable(self, error: Exception) -> ModelFailed:
        match error:
            case ModelFailed():
                what = f"sent no usable answer: {error}"
                return self._failed(
                    error.category, what, window=error.window, told=error.told, blame=error.blame
                )
            case BodyRefused():
                return self._failed("bad_response", str(error))
            case WebPage():
                return self._failed("bad_response", f"sent no usable answer: {error}")
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
        told: str = "",
        blame: Blame | None = None,
    ) -> ModelFailed:
        return ModelFailed(
            category,
            f"the model server of profile {self._profile.name!r} {what}",
            retry_after_ms=retry_after_ms,
            window=window,
            told=told,
            blame=blame,
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
    trust(context, profile.authorities)
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
