"""
Who sent a callback: its signature, checked over the raw bytes by the recipe that the settings file names.

Pure functions of bytes, headers and a moment; nothing is fetched or stored here. Whatever a stranger writes into a
header or a body ends in `Unverified`, never in another error.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from framerelay.runs.errors import RequestInvalid, Unverified
from framerelay.upstream.callback import read_callback

TOLERANCE_S: Final = 300  # Standard Webhooks and every provider that names a window.
CANDIDATES_MAX: Final = 16  # Signatures in one header; a rotation needs two.
HEADER_CHARS_MAX: Final = 4096
JOB_IDS_MAX: Final = 4
FAL_HEADERS: Final = (
    "x-fal-webhook-request-id",
    "x-fal-webhook-user-id",
    "x-fal-webhook-timestamp",
    "x-fal-webhook-signature",
)

Signed = Literal["id", "timestamp", "body", "job_id"]
Evidence = tuple[tuple[str, str], ...]
"""The headers that a recipe reads, in the order they came: name in lower case, value (one character for each byte)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HmacRecipe:
    """
    An HMAC-SHA256 in *header*, under any of *keys*; header names are in lower case.

    ``form``: ``list`` is ``v1,<digest> v1,<digest>``, ``pairs`` is ``t=<seconds>,v1=<digest>``, ``bare`` is one digest
    behind the text *mark*; in the other two *mark* is the version. ``signed``: the pieces that are signed, joined by
    *separator*; ``job_id`` is the job that the body names.
    """

    keys: tuple[bytes, ...] = field(repr=False)
    header: str
    form: Literal["list", "pairs", "bare"]
    mark: str
    digest: Literal["hex", "base64"]
    signed: tuple[Signed, ...]
    separator: str = "."
    id_header: str | None = None
    timestamp_header: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FalRecipe:
    """fal's: Ed25519 over four lines, under any of the keys published at *jwks_url*."""

    jwks_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticRecipe:
    """The secret itself in *header*; *digests* are those of the secrets that pass, see `digest_of`."""

    digests: tuple[str, ...] = field(repr=False)
    header: str


Recipe = HmacRecipe | FalRecipe | StaticRecipe


def verify(
    recipe: Recipe, evidence: Evidence, *, body: bytes, received_at: float, public_keys: Sequence[bytes] = ()
) -> None:
    """
    Return if *body* came from whom the recipe names, at most ``TOLERANCE_S`` from *received_at* (seconds since 1970).

    *public_keys*: the 32 bytes of each Ed25519 key, for recipes that have no secret.
    Raises: Unverified with a reason for the operator; it repeats nothing that the sender wrote.
    """
    match recipe:
        case HmacRecipe():
            _verify_hmac(recipe, evidence, body, received_at)
        case FalRecipe():
            _verify_fal(evidence, body, received_at, public_keys)
        case StaticRecipe():
            given = _one(evidence, recipe.header).encode()
            if not _is_among(given, [digest.encode() for digest in recipe.digests]):
                raise Unverified(f"{recipe.header} holds another secret")


def collect(recipe: Recipe, headers: Iterable[tuple[bytes, bytes]]) -> Evidence:
    """
    What *recipe* needs of *headers*, and nothing else; this can be kept, and verified again later.

    A secret that stands in a header is replaced by its digest. A third copy of a header is left out, and so is what is
    longer than any header may be: both fail anyway.
    """
    wanted, found = headers_of(recipe), list[tuple[str, str]]()
    for raw_name, raw_value in headers:
        name = raw_name.decode("latin-1").lower()
        if name in wanted and [each for each, _ in found].count(name) < 2:
            value = raw_value[: HEADER_CHARS_MAX + 1]
            found.append((name, digest_of(value) if isinstance(recipe, StaticRecipe) else value.decode("latin-1")))
    return tuple(found)


def headers_of(recipe: Recipe) -> tuple[str, ...]:
    """The names, in lower case, of the headers that *recipe* reads."""
    match recipe:
        case HmacRecipe():
            names = (recipe.header, recipe.id_header, recipe.timestamp_header)
            return tuple(name for name in names if name)
        case FalRecipe():
            return FAL_HEADERS
        case StaticRecipe():
            return (recipe.header,)


def digest_of(secret: bytes) -> str:
    """What is kept and compared in place of a secret."""
    return hashlib.sha256(b"framerelay static secret v1\n" + secret).hexdigest()


# --- HMAC --------------------------------------------------------------------------------------------------------


def _verify_hmac(recipe: HmacRecipe, evidence: Evidence, body: bytes, received_at: float) -> None:
    timestamp, candidates = _read_signatures(recipe, _one(evidence, recipe.header))
    pieces = {"body": body}
    if recipe.timestamp_header:
        timestamp = _one(evidence, recipe.timestamp_header)
    if "timestamp" in recipe.signed:
        _check_time(timestamp, received_at)
        pieces["timestamp"] = timestamp.encode("latin-1")
    if recipe.id_header:
        pieces["id"] = _one(evidence, recipe.id_header).encode("latin-1")
    right = [
        _digest(recipe, key, recipe.separator.encode().join(named[piece] for piece in recipe.signed))
        for named in _readings(recipe, pieces)
        for key in recipe.keys
    ]
    if recipe.digest == "hex":
        candidates = [candidate.lower() for candidate in candidates]
    if not any(_is_among(candidate, right) for candidate in candidates):
        raise Unverified(f"the signature in {recipe.header} fits none of the secrets, or the body was altered")


def _readings(recipe: HmacRecipe, pieces: dict[str, bytes]) -> list[dict[str, bytes]]:
    """*pieces* with the job's id in it where that is signed, once for each id that the body names."""
    if "job_id" not in recipe.signed:
        return [pieces]
    try:
        job_ids = read_callback(pieces["body"]).job_ids
    except RequestInvalid as error:
        raise Unverified(f"the body names no job: {error.message}") from None
    return [{**pieces, "job_id": job_id.encode()} for job_id in job_ids[:JOB_IDS_MAX]]


def _read_signatures(recipe: HmacRecipe, header: str) -> tuple[str, list[bytes]]:
    """The timestamp in *header*, if its form has one, and the signatures of our version."""
    if recipe.form == "bare":
        if not header.startswith(recipe.mark):
            raise Unverified(f"{recipe.header} does not begin with {recipe.mark}")
        return "", [header.removeprefix(recipe.mark).encode("latin-1")]
    between, within = (" ", ",") if recipe.form == "list" else (",", "=")
    entries = [entry.strip().partition(within) for entry in header.split(between, CANDIDATES_MAX + 1)]
    if len(entries) > CANDIDATES_MAX:
        raise Unverified(f"{recipe.header} holds more than {CANDIDATES_MAX} entries")
    timestamps = [value for name, _, value in entries if name == "t"]
    if recipe.form == "pairs" and len(timestamps) != 1:
        raise Unverified(f"{recipe.header} has not exactly one t=")
    candidates = [value.encode("latin-1") for name, _, value in entries if name == recipe.mark]
    if not candidates:
        raise Unverified(f"{recipe.header} holds no signature of version {recipe.mark}")
    return timestamps[0] if recipe.form == "pairs" else "", candidates


def _digest(recipe: HmacRecipe, key: bytes, message: bytes) -> bytes:
    digest = hmac.digest(key, message, hashlib.sha256)
    return digest.hex().encode() if recipe.digest == "hex" else base64.b64encode(digest)


# --- fal ---------------------------------------------------------------------------------------------------------


def _verify_fal(evidence: Evidence, body: bytes, received_at: float, public_keys: Sequence[bytes]) -> None:
    """Source: docs.fal.ai, "Webhooks", as of 2026: no key id is sent, so all keys are tried."""
    request_id, user_id, timestamp, signature = (_one(evidence, name) for name in FAL_HEADERS)
    _check_time(timestamp, received_at)
    if not re.fullmatch(r"[0-9a-fA-F]{128}", signature):
        raise Unverified(f"{FAL_HEADERS[3]} is not the hex of an Ed25519 signature")
    if not public_keys:
        raise Unverified("the sender's public keys could not be fetched yet")
    lines = (request_id, user_id, timestamp, hashlib.sha256(body).hexdigest())
    message = "\n".join(lines).encode("latin-1")
    if not any(_is_signed_by(key, bytes.fromhex(signature), message) for key in public_keys):
        raise Unverified("the signature fits none of the sender's public keys, or the body was altered")


def _is_signed_by(key: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):  # ValueError: not a key at all.
        return False
    return True


# --- all ---------------------------------------------------------------------------------------------------------


def _one(evidence: Evidence, name: str) -> str:
    """The value of a header that must be there exactly once: of two, nobody can say which one was meant."""
    values = [value for each, value in evidence if each == name]
    if len(values) != 1 or not values[0]:
        raise Unverified(f"{name} came more than once" if len(values) > 1 else f"{name} is missing")
    if len(values[0]) > HEADER_CHARS_MAX:
        raise Unverified(f"{name} is longer than {HEADER_CHARS_MAX} characters")
    return values[0]


def _check_time(timestamp: str, received_at: float) -> None:
    """Plain digits alone: what reads "1614265330.5" as a number accepts it under the signature of another text."""
    if not re.fullmatch(r"[0-9]{1,12}", timestamp):
        raise Unverified("the timestamp is not a whole number of seconds since 1970")
    age_s = int(received_at) - int(timestamp)
    if abs(age_s) > TOLERANCE_S:
        when = f"{age_s} s before" if age_s > 0 else f"{-age_s} s after"
        raise Unverified(f"it was signed {when} it was received; {TOLERANCE_S} are allowed. Is the clock right?")


def _is_among(given: bytes, right: Sequence[bytes]) -> bool:
    """All are compared, each in constant time."""
    return any([hmac.compare_digest(given, each) for each in right])
