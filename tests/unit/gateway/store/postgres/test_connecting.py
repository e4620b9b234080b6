"""Addresses without secrets, and what is said when nobody answers."""

import asyncpg
import pytest

from gateway.core.errors import ConfigError, StoreUnavailable
from gateway.store.postgres.connecting import Dial

URL = "postgresql://ann:s3cret-word@127.0.0.1:1/gate?sslmode=disable&password=s3cret-word"


async def test_a_database_that_does_not_answer_is_named_without_its_password() -> None:
    """Port 1: nobody listens there."""
    with pytest.raises(StoreUnavailable) as caught:
        await Dial(URL).connect()
    text = f"{caught.value} {caught.value.__cause__}"
    assert "ann@127.0.0.1:1/gate" in text
    assert "s3cret-word" not in text


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (asyncpg.InvalidPasswordError("password s3cret-word"), "user and password"),
        (asyncpg.InvalidCatalogNameError('database "gate"'), "createdb"),
        (ValueError("s3cret-word"), "postgresql://user"),
    ],
)
def test_what_no_waiting_mends_is_a_matter_of_settings(error: Exception, says: str) -> None:
    failure = Dial(URL).failure(error)
    assert isinstance(failure, ConfigError)
    assert says in str(failure)
    assert "s3cret-word" not in str(failure)
