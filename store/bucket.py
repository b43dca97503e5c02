"""A bucket of object storage through obstore: how it is opened, and what its errors mean, in words."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, ObjectStore, S3Store

from framerelay.runs.errors import StorageFailed

REQUEST_S: Final = 60.0  # For one request, which carries a few MB; it may be retried.
CONNECT_S: Final = 5.0
# Soon again after a hiccup; callers that have to wait longer do so themselves, and say why.
RETRIES: Final[Any] = {"max_retries": 2, "retry_timeout": timedelta(seconds=15)}

# obstore does not see variables that are only in .env; the rest it reads from the environment itself.
_CREDENTIALS: Final = {
    "s3": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION"),
    "gs": ("GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_KEY", "GOOGLE_APPLICATION_CREDENTIALS"),
    "az": ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT_KEY"),
}
_WORDS: Final = {
    "NoSuchBucket": "there is no such bucket: make it, or correct FRAMERELAY_STORE",
    "ContainerNotFound": "there is no such container: make it, or correct FRAMERELAY_STORE",
    "InvalidAccessKeyId": "it does not know the key: check the credentials in the environment",
    "SignatureDoesNotMatch": "it refuses the key: check the credentials in the environment",
    "AuthenticationFailed": "it refuses the key: check the credentials in the environment, and this machine's clock",
    "AuthorizationFailure": "it refuses the key: check the credentials in the environment",
    "AuthenticationRequired": "it refuses the key: check the credentials in the environment",
    "AuthorizationPermissionMismatch": "the key may not do this: let it read, write, list and delete below the prefix",
    "RequestTimeTooSkewed": "its clock and ours differ: set the clock of this machine",
    "ExpiredToken": "the credentials have expired: renew them",
    "AccessDenied": "the key may not do this: let it read, write, list and delete below the prefix",
    "SlowDown": "it asks us to slow down",
}
_CODE: Final = re.compile(r"<Code>(\w+)</Code>")
_STATUS: Final = re.compile(r"status code: ([0-9]{3}[^:<]*)")
_UNREACHABLE: Final = re.compile(r"error sending request|error trying to connect|HTTP error", re.IGNORECASE)


def open_bucket(url: str, *, endpoint: str | None, environ: Mapping[str, str]) -> ObjectStore:
    """
    The bucket and prefix of *url* (``s3://``, ``gs://``, ``az://``), at *endpoint* instead of the cloud's own.

    Nothing is requested yet. Raises: ValueError if it cannot be an address of this kind.
    """
    scheme, _, rest = url.partition("://")
    bucket, _, prefix = rest.strip("/").partition("/")
    config: Any = {name.lower(): environ[name] for name in _CREDENTIALS[scheme] if environ.get(name)}
    client: Any = {"timeout": timedelta(seconds=REQUEST_S), "connect_timeout": timedelta(seconds=CONNECT_S)}
    more: dict[str, Any] = {"prefix": prefix or None, "client_options": client, "retry_config": RETRIES}
    if endpoint:
        config |= _at(endpoint, scheme)
        client["allow_http"] = endpoint.startswith("http://")
    try:
        match scheme:
            case "gs":
                return GCSStore(bucket, config=config, **more)
            case "az":
                return AzureStore(bucket, config=config, **more)
        if endpoint and "aws_region" not in config and "aws_default_region" not in config:
            config["region"] = "us-east-1"
        return S3Store(bucket, config=config, **more)
    except BaseError as error:
        raise ValueError(bucket_words(error)) from error


def _at(endpoint: str, scheme: str) -> dict[str, Any]:
    match scheme:
        case "gs":
            return {"base_url": endpoint}
        case "az":
            return {"endpoint": endpoint}
    return {"endpoint": endpoint, "virtual_hosted_style_request": False}


@contextmanager
def bucket_answers() -> Iterator[None]:
    """
    Turns failures of storage requests in the block into StorageFailed, in words.

    A missing file stays FileNotFoundError, for a caller that can say which one.
    """
    try:
        yield
    except FileNotFoundError as error:
        if code := _code(error):
            raise StorageFailed(f"object storage: {_WORDS[code]}") from error
        raise
    except (BaseError, OSError, ValueError) as error:
        raise StorageFailed(f"object storage: {bucket_words(error)}") from error


def bucket_words(error: BaseException) -> str:
    """Why the request failed, without addresses, for a person."""
    message = str(error)
    if code := _code(error):
        return _WORDS[code]
    if status := _STATUS.search(message):
        refused = status[1].startswith(("401", "403"))
        return "it refuses the key, or what the key may do: check the credentials" if refused else f"HTTP {status[1]}"
    if _UNREACHABLE.search(message):
        return "it cannot be reached: see whether its endpoint is right, and whether it runs"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    first = message.partition("\n")[0].rstrip(". ")
    return first[:200] or type(error).__name__


def _code(error: BaseException) -> str | None:
    match = _CODE.search(str(error))
    return match[1] if match and match[1] in _WORDS else None
