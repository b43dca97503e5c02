"""
Who sent a callback: its signature, checked over the raw bytes by the recipe that the settings file names.

Pure functions of bytes, headers and a moment; nothing is fetched or stored here. Whatever a stranger writes into a
header or a body ends in `Unverified`, never in another error.
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final, Literal
from urllib.parse import quote, quote_plus

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from framerelay.runs.errors import RequestInvalid, Unverified
from framerelay.upstream.callback import read_callback

TOLERANCE_S: Final = 300  # Standard Webhooks and every provider that documents a window.
CANDIDATES_MAX: Final = 16  # Signatures in one header; a rotation needs two.
HEADER_CHARS_MAX: Final = 4096
JOB_IDS_MAX: Final = 4
FAL_HEADERS: Final = (
    "x-fal-webhook-request-id",
    "x-fal-webhook-user-id",
    "x-fal-webhook-timestamp",
    "x-fal-webhook-signature",
)
STANDARD_HEADERS: Final = ("webhook-id", "webhook-timestamp", "webhook-signature")
VIDU_HEADERS: Final = ("date", "x-request-nonce", "x-hmac-signed-headers", "x-hmac-signature")
PIXVERSE_HEADERS: Final = ("webhook-timestamp", "webhook-nonce", "webhook-signature")
TARGET: Final = ":target"

SignedPart = Literal["id", "timestamp", "body", "job_id"]
Evidence = tuple[tuple[str, str], ...]
"""The headers that a recipe reads, in the order they came: name in lower case, value (one character for each byte)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HmacRecipe:
    """
    An HMAC-SHA256 in *header*, under any of *keys*; header names are in lower case.

    ``form``: ``list`` is ``v1,<digest> v1,<digest>``, ``pairs`` is ``t=<seconds>,v1=<digest>``, ``bare`` is one digest
    after the text *mark*; in the other two *mark* is the version. ``signed``: the pieces that are signed, joined by
    *separator*; ``job_id`` is the job that the body names.
    """

    keys: tuple[bytes, ...] = field(repr=False)
    header: str
    form: Literal["list", "pairs", "bare"]
    mark: str
    digest: Literal["hex", "base64"]
    signed_parts: tuple[SignedPart, ...]
    separator: str = "."
    id_header: str | None = None
    timestamp_header: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FalRecipe:
    """fal's: Ed25519 over four lines, under any of the keys published at *jwks_url*."""

    jwks_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKeyRecipe:
    """``v1a`` of Standard Webhooks: Ed25519 over ``id.timestamp.body``, under any of the keys at *jwks_url*."""

    jwks_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRecipe:
    """Vidu's: an HMAC-SHA256 over the path, the query and the date that it was sent with; not over the body."""

    keys: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldsRecipe:
    """PixVerse's: an HMAC-SHA256 over the time, a nonce, and the fields of the body as form fields, sorted."""

    keys: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticRecipe:
    """The secret itself in *header*; *digests* are those of the secrets that pass, see `digest_of`."""

    digests: tuple[str, ...] = field(repr=False)
    header: str


Recipe = HmacRecipe | FalRecipe | PublicKeyRecipe | TargetRecipe | FieldsRecipe | StaticRecipe


def jwks_url_of(recipe: Recipe) -> str | None:
    """The address of the public keys that *recipe* needs, if it has no secret."""
    return recipe.jwks_url if isinstance(recipe, FalRecipe | PublicKeyRecipe) else None


def verify(
    recipe: Recipe, evidence: Evidence, *, body: bytes, received_at: float, public_keys: Sequence[bytes] = ()
) -> None:
    """
    Return if *body* came from the sender that the recipe names, at most ``TOLERANCE_S`` from *received_at* (seconds
    since 1970).

    *public_keys*: the 32 bytes of each Ed25519 key, for recipes without a secret.
    Raises: Unverified with a reason for the operator; it repeats nothing that the sender wrote.
    """
    match recipe:
        case HmacRecipe():
            _verify_hmac(recipe, evidence, body, received_at)
        case FalRecipe():
            _verify_fal(evidence, body, received_at, public_keys)
        case PublicKeyRecipe():
            _verify_public_key(evidence, body, received_at, public_keys)
        case TargetRecipe():
            _verify_target(recipe, evidence, received_at)
        case FieldsRecipe():
            _verify_fields(recipe, evidence, body, received_at)
        case StaticRecipe():
            candidate = _one(evidence, recipe.header).encode()
            if not _is_among(candidate, [digest.encode() for digest in recipe.digests]):
                raise Unverified(f"{recipe.header} holds another secret")


def collect(recipe: Recipe, headers: Iterable[tuple[bytes, bytes]], *, target: bytes = b"") -> Evidence:
    """
    What *recipe* needs from *headers*, and nothing else; this can be stored, and verified again later.

    *target*: path and query as they were in the request; some senders sign them. It is stored under a name that no
    header has. A secret in a header is replaced by its digest. A third copy of a header is left out, and so is anything
    longer than any header may be: both fail anyway.
    """
    names, pairs = headers_of(recipe), list[tuple[str, str]]()
    if isinstance(recipe, TargetRecipe):
        pairs.append((TARGET, target[: HEADER_CHARS_MAX + 1].decode("latin-1")))
    for raw_name, raw_value in headers:
        name = raw_name.decode("latin-1").lower()
        if name in names and [each for each, _ in pairs].count(name) < 2:
            value = raw_value[: HEADER_CHARS_MAX + 1]
            pairs.append((name, digest_of(value) if isinstance(recipe, StaticRecipe) else value.decode("latin-1")))
    return tuple(pairs)


def headers_of(recipe: Recipe) -> tuple[str, ...]:
    """The names, in lower case, of the headers that *recipe* reads."""
    match recipe:
        case HmacRecipe():
            names = (recipe.header, recipe.id_header, recipe.timestamp_header)
            return tuple(name for name in names if name)
        case FalRecipe():
            return FAL_HEADERS
        case PublicKeyRecipe():
            return STANDARD_HEADERS
        case TargetRecipe():
            return VIDU_HEADERS
        case FieldsRecipe():
            return PIXVERSE_HEADERS
        case StaticRecipe():
            return (recipe.header,)


def digest_of(secret: bytes) -> str:
    """What is stored and compared instead of a secret."""
    return hashlib.sha256(b"framerelay static secret v1\n" + secret).hexdigest()


# --- HMAC --------------------------------------------------------------------------------------------------------


def _verify_hmac(recipe: HmacRecipe, evidence: Evidence, body: bytes, received_at: float) -> None:
    timestamp, candidates = _read_signatures(recipe, _one(evidence, recipe.header))
    pieces = {"body": body}
    if recipe.timestamp_header:
        timestamp = _one(evidence, recipe.timestamp_header)
    if "timestamp" in recipe.signed_parts:
        _check_time(timestamp, received_at)
        pieces["timestamp"] = timestamp.encode("latin-1")
    if recipe.id_header:
        pieces["id"] = _one(evidence, recipe.id_header).encode("latin-1")
    right = [
        _digest(recipe, key, recipe.separator.encode().join(reading[piece] for piece in recipe.signed_parts))
        for reading in _readings(recipe, pieces)
        for key in recipe.keys
    ]
    if recipe.digest == "hex":
        candidates = [candidate.lower() for candidate in candidates]
    if not any(_is_among(candidate, right) for candidate in candidates):
        raise Unverified(f"the signature in {recipe.header} fits none of the secrets, or the body was altered")


def _readings(recipe: HmacRecipe, pieces: dict[str, bytes]) -> list[dict[str, bytes]]:
    """*pieces* with the job's id in it if that is signed, once for each id that the body names."""
    if "job_id" not in recipe.signed_parts:
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
    entries = _entries(recipe.header, header, between=between, within=within)
    timestamps = [value for name, value in entries if name == "t"]
    if recipe.form == "pairs" and len(timestamps) != 1:
        raise Unverified(f"{recipe.header} does not have exactly one t=")
    candidates = _of_version(recipe.header, entries, recipe.mark)
    return timestamps[0] if recipe.form == "pairs" else "", candidates


def _entries(name: str, header: str, *, between: str, within: str) -> list[tuple[str, str]]:
    """What is in the header *name*, each with its version."""
    entries = [entry.strip().partition(within) for entry in header.split(between, CANDIDATES_MAX + 1)]
    if len(entries) > CANDIDATES_MAX:
        raise Unverified(f"{name} holds more than {CANDIDATES_MAX} entries")
    return [(version, value) for version, _, value in entries]


def _of_version(name: str, entries: list[tuple[str, str]], mark: str) -> list[bytes]:
    candidates = [value.encode("latin-1") for version, value in entries if version == mark]
    if not candidates:
        raise Unverified(f"{name} holds no signature of version {mark}")
    return candidates


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
    lines = (request_id, user_id, timestamp, hashlib.sha256(body).hexdigest())
    _check_public([bytes.fromhex(signature)], "\n".join(lines).encode("latin-1"), public_keys)


def _verify_public_key(evidence: Evidence, body: bytes, received_at: float, public_keys: Sequence[bytes]) -> None:
    """Source: Standard Webhooks 1.0.0, "v1a". No key id is sent, so all keys are tried."""
    message_id, timestamp, header = (_one(evidence, name) for name in STANDARD_HEADERS)
    _check_time(timestamp, received_at)
    name = STANDARD_HEADERS[2]
    texts = _of_version(name, _entries(name, header, between=" ", within=","), "v1a")
    message = b".".join((message_id.encode("latin-1"), timestamp.encode("latin-1"), body))
    _check_public([signature for text in texts if (signature := _plain(text))], message, public_keys)


def _plain(text: bytes) -> bytes:
    """The signature in *text*, decoded from base64; empty if it is not base64."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""


def _check_public(signatures: Sequence[bytes], message: bytes, public_keys: Sequence[bytes]) -> None:
    if not public_keys:
        raise Unverified("the sender's public keys could not be fetched yet")
    if not any(_is_signed_by(key, signature, message) for signature in signatures for key in public_keys):
        raise Unverified("the signature fits none of the sender's public keys, or the body was altered")


def _is_signed_by(key: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):  # ValueError: not a key at all.
        return False
    return True


# --- Vidu and PixVerse -------------------------------------------------------------------------------------------


def _verify_target(recipe: TargetRecipe, evidence: Evidence, received_at: float) -> None:
    """Source: platform.vidu.com, "Callback signature", as of 2026. The names count as the sender writes them."""
    date, _, names, signature = (_one(evidence, name) for name in VIDU_HEADERS)
    _check_date(date, received_at)
    path, _, query = dict(evidence).get(TARGET, "").partition("?")
    lines = ["POST", path, query, "vidu", date]
    for name in names.split(";", CANDIDATES_MAX):
        if name.lower() not in VIDU_HEADERS[:2]:
            raise Unverified(f"{VIDU_HEADERS[2]} names more than the date and the nonce")
        lines.append(f"{name}:{_one(evidence, name.lower())}")
    _check_hmac(recipe.keys, [lines], signature, VIDU_HEADERS[3], end="\n")


def _verify_fields(recipe: FieldsRecipe, evidence: Evidence, body: bytes, received_at: float) -> None:
    """Source: docs.platform.pixverse.ai, "Webhook integration", as of 2026."""
    timestamp, nonce, signature = (_one(evidence, name) for name in PIXVERSE_HEADERS)
    _check_time(timestamp, received_at)
    forms = [[timestamp, nonce, form] for form in _as_forms(body)]
    _check_hmac(recipe.keys, forms, signature, PIXVERSE_HEADERS[2])


def _as_forms(body: bytes) -> list[str]:
    """The fields of *body* as a form; with both ways to encode a space, since the page does not say which."""
    try:
        fields = json.loads(body, parse_float=str, parse_int=str, parse_constant=str)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise Unverified("the body is not a JSON object, so nothing of it can be signed")
    texts = [(key, _field(fields[key])) for key in sorted(fields)]
    return ["&".join(f"{as_text(key)}={as_text(value)}" for key, value in texts) for as_text in (_quote_plus, _quote)]


def _quote_plus(text: str) -> str:
    return quote_plus(text, errors="replace")


def _quote(text: str) -> str:
    return quote(text, safe="", errors="replace")


def _field(value: object) -> str:
    """Numbers are already texts, as they were written."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _check_hmac(
    keys: Sequence[bytes], messages: Sequence[Sequence[str]], signature: str, header: str, *, end: str = ""
) -> None:
    """*messages*: each in lines, with *end* after the last."""
    texts = [("\n".join(lines) + end).encode("utf-8", "surrogatepass") for lines in messages]
    right = [base64.b64encode(hmac.digest(key, text, hashlib.sha256)) for key in keys for text in texts]
    if not _is_among(signature.encode("latin-1"), right):
        raise Unverified(f"the signature in {header} fits none of the secrets, or what it covers was altered")


def _check_date(date: str, received_at: float) -> None:
    try:
        moment = parsedate_to_datetime(date)
    except (ValueError, IndexError, OverflowError):
        raise Unverified("the date is not one that HTTP knows") from None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    _check_time(str(int(aware.timestamp())), received_at)


# --- all ---------------------------------------------------------------------------------------------------------


def _one(evidence: Evidence, name: str) -> str:
    """The value of a header that must be there exactly once: if there are two, nobody can say which one was meant."""
    values = [value for each, value in evidence if each == name]
    if len(values) != 1 or not values[0]:
        raise Unverified(f"{name} came more than once" if len(values) > 1 else f"{name} is missing")
    if len(values[0]) > HEADER_CHARS_MAX:
        raise Unverified(f"{name} is longer than {HEADER_CHARS_MAX} characters")
    return values[0]


def _check_time(timestamp: str, received_at: float) -> None:
    """Only plain digits: reading "1614265330.5" as a number would accept it under the signature of another text."""
    if not re.fullmatch(r"[0-9]{1,12}", timestamp):
        raise Unverified("the timestamp is not a whole number of seconds since 1970")
    age_s = int(received_at) - int(timestamp)
    if abs(age_s) > TOLERANCE_S:
        if age_s > 0:
            raise Unverified(
                f"it was signed {age_s} s before it was received; {TOLERANCE_S} are allowed. Is the clock right?"
            )
        raise Unverified(
            f"it was signed {-age_s} s after it was received; {TOLERANCE_S} are allowed. Is the clock right?"
        )


def _is_among(candidate: bytes, right: Sequence[bytes]) -> bool:
    """All are compared, each in constant time."""
    return any([hmac.compare_digest(candidate, each) for each in right])
