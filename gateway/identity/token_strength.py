"""Which tokens of an operator's own withstand guessing at the speed a gateway answers."""

from __future__ import annotations

from itertools import pairwise

from gateway.core.errors import ConfigError

MIN_TOKEN_CHARS = 22
"""128 bits in base64: shorter ones can be guessed, so none is accepted."""
MAX_TOKEN_CHARS = 512
MIN_DIFFERENT_CHARS = 10
"""32 random hexadecimal digits have fewer twice in 100 000."""


def is_strong(token: str) -> bool:
    """Neither a repetition nor a row; four unrelated words are many enough."""
    steps = sum(abs(ord(one) - ord(next_one)) <= 1 for one, next_one in pairwise(token))
    return (
        MIN_TOKEN_CHARS <= len(token) <= MAX_TOKEN_CHARS
        and len(set(token)) >= MIN_DIFFERENT_CHARS
        and token not in (token + token)[1:-1]
        and 2 * steps <= len(token)
    )


def check_strength(token: str) -> None:
    """Raise `ConfigError` with a way to make a better one."""
    if not is_strong(token):
        raise ConfigError(
            f"TURNGATE_TOKEN must have {MIN_TOKEN_CHARS} to {MAX_TOKEN_CHARS} characters that "
            f"cannot be guessed: {MIN_DIFFERENT_CHARS} different ones, no repetition and "
            "no row such as abcdef; make one with: python3 -c 'import secrets; "
            "print(secrets.token_urlsafe(32))'"
        )
