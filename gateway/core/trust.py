"""Certificate authorities that are trusted beside the system's, as a company's own.

OpenSSL, curl and requests each have a variable that names a file or folder of them. There these
replace the system's authorities; here they are added, so that one setting serves a model server of
the company and one of the public.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path

from gateway.core.errors import ConfigError

VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def named_authorities(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """The files and folders the environment names, each once."""
    found = (environ.get(name, "").strip() for name in VARIABLES)
    return tuple(dict.fromkeys(Path(each) for each in found if each))


def trust(context: ssl.SSLContext, authorities: Iterable[Path]) -> None:
    """Add them to a context. Raises `ConfigError` for what cannot be read or holds none."""
    for path in authorities:
        try:
            if path.is_dir():
                context.load_verify_locations(capath=path)
            else:
                context.load_verify_locations(cafile=path)
        except (OSError, ssl.SSLError) as error:  # an SSLError is an OSError with a reason
            why = getattr(error, "reason", None) or error.strerror or type(error).__name__
            raise ConfigError(
                f"the certificate authorities in {path} cannot be used ({why}); LLM_CA_FILE and "
                f"{', '.join(VARIABLES)} name files in PEM form"
            ) from error


def distrust(error: BaseException) -> str:
    """Why a certificate was not trusted, in OpenSSL's words; empty where that was not the cause."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return seen.verify_message
        seen = seen.__cause__ or seen.__context__
    return ""
