"""Certificate authorities of one's own: added to the system's, and named when they cannot be."""

import ssl
from pathlib import Path

import pytest

from gateway.core.errors import ConfigError
from gateway.core.trust import distrust, named_authorities, trust
from tests.support.certificates import self_signed


def test_the_variables_of_openssl_requests_and_curl_are_read_once_each() -> None:
    environ = {"SSL_CERT_FILE": "/a", "CURL_CA_BUNDLE": "/b", "REQUESTS_CA_BUNDLE": "/a"}
    assert named_authorities(environ | {"SSL_CERT_DIR": " "}) == (Path("/a"), Path("/b"))


def test_authorities_are_added_to_those_that_are_there(tmp_path: Path) -> None:
    cert, _ = self_signed(tmp_path)
    context = ssl.create_default_context()
    before = context.cert_store_stats()["x509"]
    trust(context, [cert, tmp_path])
    assert context.cert_store_stats()["x509"] == before + 1


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_file_without_authorities_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"ca\.pem cannot be used .*LLM_CA_FILE"):
        trust(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), [path])


def test_the_reason_is_found_below_what_libraries_wrap_around_it() -> None:
    refused = ssl.SSLCertVerificationError()
    refused.verify_message = "self-signed certificate"
    outer = OSError("connect")
    outer.__cause__ = ValueError("wrapped")
    outer.__cause__.__context__ = refused
    assert distrust(outer) == "self-signed certificate"
    assert distrust(ValueError()) == ""
