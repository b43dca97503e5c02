"""Signatures: every documented vector passes, everything altered fails, and nothing that is sent breaks the check."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from framerelay.runs.errors import Unverified
from framerelay.upstream.signatures import (
    CANDIDATES_MAX,
    HEADER_CHARS_MAX,
    FalRecipe,
    Recipe,
    collect,
    headers_of,
    verify,
)
from framerelay.upstream.verifiers import read_verifiers

S = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"id":"job_example","status":"succeeded"}'
AT = 1710000000
STANDARD = {"scheme": "standard-webhooks", "secret_env": "S"}
RIGHT_V1 = "v1,Une4Vfw8q3Teg15mPkWgogAs+NSIXXx8x4HH3+pP4As="
RIGHT_HEX = "555470575d8545635deeaf02280c9ac371447b423768062905ac44e510ad9360"


def standard(signature: str, *, at: object = AT, name: str = "msg_1", prefix: str = "webhook") -> dict[str, str]:
    """The three headers of Standard Webhooks."""
    return {f"{prefix}-id": name, f"{prefix}-timestamp": str(at), f"{prefix}-signature": signature}


# (what it is, the settings, the secret, headers, body, received at)
VECTORS: list[tuple[str, dict[str, Any], str, dict[str, str], bytes, int]] = [
    (
        "standard, the specification's own",
        STANDARD,
        f"whsec_{S}",
        standard("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", at=1614265330, name="msg_p5jXN8AQM9LWM0D4loKWxJek"),
        b'{"test": 2432232314}',
        1614265330,
    ),
    ("standard", STANDARD, f"whsec_{S}", standard(RIGHT_V1), BODY, AT),
    (
        "wavespeed",
        {**STANDARD, "version": "v3", "digest": "hex", "secret_encoding": "utf8"},
        f"whsec_{S}",
        standard("v3,57d12c21d7c1378ed9799081f314c05e57d5916afa1be1690ea7fadb80d2c1e6"),
        BODY,
        AT,
    ),
    (
        "openrouter",
        {"scheme": "timestamped", "secret_env": "S", "header": "X-OpenRouter-Signature", "separator": ","},
        S,
        {"X-OpenRouter-Signature": f"t={AT},v1=c2e095ee6b457025fbb2ffcb698f03b4bb998232329f686c2878c8b5179df845"},
        BODY,
        AT,
    ),
    (
        "t.body in pairs",
        {"scheme": "timestamped", "secret_env": "S", "header": "X-Signature"},
        S,
        {"X-Signature": f"t={AT},v1={RIGHT_HEX}"},
        BODY,
        AT,
    ),
    (
        "t.body, aigateway",
        {"scheme": "hmac", "secret_env": "S", "header": "aig-signature", "timestamp_header": "aig-timestamp"},
        S,
        {"aig-signature": RIGHT_HEX.upper(), "aig-timestamp": str(AT)},
        BODY,
        AT,
    ),
    (
        "plain sha256=",
        {"scheme": "hmac", "secret_env": "S", "header": "X-Signature", "prefix": "sha256="},
        S,
        {"X-Signature": "sha256=f0919ac40d3d420c0f6f8c5aacda72b7619af6745017eec1e7c4cb26897e0477"},
        BODY,
        AT,
    ),
    (
        "kie",
        {"scheme": "kie", "secret_env": "S"},
        S,
        {"X-Webhook-Timestamp": str(AT), "X-Webhook-Signature": "7/vbmUSv/gS4Ee65omCKtnTCKWT4Yv3vM234ijJX7CA="},
        b'{"code":200,"data":{"taskId":"job_example"}}',
        AT,
    ),
]
NAMES = [vector[0] for vector in VECTORS]


@pytest.fixture
def recipe_of(tmp_path: Path) -> Callable[..., Recipe]:
    """``recipe_of(settings, S="secret")``: what the settings file makes of a ``verify`` part."""

    def read(part: dict[str, Any], **environ: str) -> Recipe:
        path = tmp_path / "framerelay.yaml"
        path.write_text(json.dumps({"verify": part}), encoding="utf-8")
        recipe = read_verifiers(path, environ).upstream
        assert recipe is not None
        return recipe

    return read


def check(recipe: Recipe, headers: Any, body: bytes = BODY, at: float = AT, keys: Any = ()) -> None:
    """What the receiver does: *headers* as pairs, or as a mapping."""
    pairs = headers.items() if isinstance(headers, dict) else headers
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]
    verify(recipe, collect(recipe, raw), body=body, received_at=at, public_keys=keys)


@pytest.mark.parametrize(("name", "part", "secret", "headers", "body", "at"), VECTORS, ids=NAMES)
def test_every_documented_vector_passes(
    recipe_of: Any, name: str, part: Any, secret: str, headers: dict[str, str], body: bytes, at: int
) -> None:
    """As the providers' pages have it, however the names of the headers are written."""
    recipe = recipe_of(part, S=secret)

    check(recipe, headers, body, at)
    check(recipe, {name.upper(): value for name, value in headers.items()}, body, at)


@pytest.mark.parametrize(("name", "part", "secret", "headers", "body", "at"), VECTORS, ids=NAMES)
def test_no_vector_passes_when_anything_is_altered(
    recipe_of: Any, name: str, part: Any, secret: str, headers: dict[str, str], body: bytes, at: int
) -> None:
    """The body, each header left out, each header doubled, the secret."""
    recipe = recipe_of(part, S=secret)
    bodies = [body.replace(b"job_example", b"job_forged") if name == "kie" else body + b" ", b"", b"\xff" + body]
    for other in bodies:
        with pytest.raises(Unverified):
            check(recipe, headers, other, at)
    for left_out in headers:
        with pytest.raises(Unverified, match="is missing"):
            check(recipe, {each: value for each, value in headers.items() if each != left_out}, body, at)
        with pytest.raises(Unverified, match="more than once"):
            check(recipe, [*headers.items(), (left_out, headers[left_out])], body, at)
    with pytest.raises(Unverified):
        check(recipe_of(part, S=f"whsec_{S[::-1]}" if secret.startswith("whsec_") else S[::-1]), headers, body, at)


def test_kies_signature_does_not_cover_the_body(recipe_of: Any) -> None:
    """It proves the sender, not the words: said here so that nobody relies on it. The look-up is what decides."""
    _, part, secret, headers, body, at = VECTORS[-1]
    check(recipe_of(part, S=secret), headers, body.replace(b"200", b"501"), at)


def test_the_reference_package_agrees(recipe_of: Any) -> None:
    """Standard Webhooks as published by its authors, both ways."""
    secret = "whsec_" + base64.b64encode(bytes(range(32))).decode()
    now = int(time.time())
    signature = standardwebhooks.Webhook(secret).sign("msg_9", datetime.fromtimestamp(now, tz=UTC), BODY.decode())
    check(recipe_of(STANDARD, S=secret), standard(signature, at=now, name="msg_9"), BODY, now)

    ours = hmac.digest(bytes(range(32)), f"msg_9.{now}.".encode() + BODY, hashlib.sha256)
    headers = standard("v1," + base64.b64encode(ours).decode(), at=now, name="msg_9")
    assert standardwebhooks.Webhook(secret).verify(BODY, headers)


@pytest.mark.parametrize(
    ("off_s", "passes"), [(-301, False), (-300, True), (-299, True), (299, True), (300, True), (301, False)]
)
def test_the_window_is_three_hundred_seconds_both_ways(recipe_of: Any, off_s: int, passes: bool) -> None:
    """Inclusive, in whole seconds, against the moment of receipt; past and future, in each scheme with a time."""
    for _, part, secret, headers, body, at in VECTORS:
        if "sha256=" in str(part):
            continue
        recipe = recipe_of(part, S=secret)
        if passes:
            check(recipe, headers, body, at + off_s + 0.9)
            continue
        with pytest.raises(Unverified, match=f"signed {abs(off_s)} s {'before' if off_s > 0 else 'after'}"):
            check(recipe, headers, body, at + off_s + 0.9)


def test_any_of_several_secrets_passes(recipe_of: Any, tmp_path: Path) -> None:
    """While a secret is being rotated, callbacks come under the old and under the new one."""
    (tmp_path / "new").write_text(f"whsec_{S}\n")
    part = {"scheme": "standard-webhooks", "secret_env": ["OLD", "OLDER"], "secret_file": "new"}
    check(recipe_of(part, OLD="whsec_AAAA", OLDER="whsec_BBBB"), standard(RIGHT_V1))


def test_one_signature_among_several_is_enough(recipe_of: Any) -> None:
    """A sender that rotates signs twice; versions that we do not know say nothing, and prove nothing."""
    recipe = recipe_of(STANDARD, S=f"whsec_{S}")

    check(recipe, standard(f"v1,AAAA v1a,{RIGHT_V1[3:]} {RIGHT_V1}"))
    with pytest.raises(Unverified):
        check(recipe, standard(f"v1a,{RIGHT_V1[3:]} v2,{RIGHT_V1[3:]}"))
    pairs = recipe_of({"scheme": "timestamped", "secret_env": "S", "header": "x"}, S=S)
    check(pairs, {"x": f"t={AT}, v0=aa, v1=00, v1={RIGHT_HEX}"})


def test_thousands_of_candidates_are_not_tried(recipe_of: Any) -> None:
    """Refused by number, and by length, before anything is compared; the right one among them is of no use."""
    recipe = recipe_of(STANDARD, S=f"whsec_{S}")
    check(recipe, standard(" ".join(["v1,x"] * (CANDIDATES_MAX - 1) + [RIGHT_V1])))
    for forgeries in (["v1,x"] * CANDIDATES_MAX, ["v1,x"] * 1000, ["v1," + "x" * HEADER_CHARS_MAX]):
        with pytest.raises(Unverified, match=r"more than 16 entries|longer than 4096"):
            check(recipe, standard(" ".join([RIGHT_V1, *forgeries])))


MALFORMED = ["", " ", ",", "v1", "v1,", "v1,,", "  v1,  ", "=", "t=", "t=,v1=", "v1=\x00", "ÿ" * 50, "v1," + "A" * 43]


@pytest.mark.parametrize("value", MALFORMED)
def test_what_crashes_others_is_refused_here(recipe_of: Any, value: str) -> None:
    """The published package raises ValueError, binascii.Error and UnicodeDecodeError for some of these."""
    for _, part, secret, headers, body, at in VECTORS:
        recipe = recipe_of(part, S=secret)
        for name in headers:
            with pytest.raises(Unverified):
                check(recipe, {**headers, name: value}, body, at)


@pytest.mark.parametrize("timestamp", [f"{AT}.5", f"+{AT}", f" {AT}", f"{AT}\n", "１７１", "0x10", "-1"])
def test_a_timestamp_is_plain_digits(recipe_of: Any, timestamp: str) -> None:
    """A parser that reads "1710000000.5" as a number verifies the signature of another text."""
    right = hmac.digest(base64.b64decode(S), f"msg_1.{timestamp}.".encode() + BODY, hashlib.sha256)
    recipe = recipe_of(STANDARD, S=f"whsec_{S}")

    raw = [
        (b"webhook-id", b"msg_1"),
        (b"webhook-timestamp", timestamp.encode()),
        (b"webhook-signature", b"v1," + base64.b64encode(right)),
    ]
    with pytest.raises(Unverified, match="not a whole number"):
        verify(recipe, collect(recipe, raw), body=BODY, received_at=AT)


@pytest.fixture
def fal() -> tuple[FalRecipe, bytes, dict[str, str]]:
    """fal's recipe, a public key, and the headers that its owner signed for ``BODY``."""
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    message = f"req_1\nuser_1\n{AT}\n{hashlib.sha256(BODY).hexdigest()}".encode()
    headers = {
        "X-Fal-Webhook-Request-Id": "req_1",
        "X-Fal-Webhook-User-Id": "user_1",
        "X-Fal-Webhook-Timestamp": str(AT),
        "X-Fal-Webhook-Signature": key.sign(message).hex(),
    }
    return FalRecipe(jwks_url="https://keys.example.com"), key.public_key().public_bytes_raw(), headers


def test_fals_signature_passes_under_any_published_key(fal: Any) -> None:
    """The sender names no key: all are tried, and one that is no key at all hurts nobody."""
    recipe, key, headers = fal

    check(recipe, headers, keys=[b"x", bytes(32), b"\xff" * 32, key])


def test_fals_signature_fails_when_anything_is_altered(fal: Any) -> None:
    """Body, headers, key, time; and without keys nothing passes."""
    recipe, key, headers = fal
    for name, value in headers.items():
        for other in ("", "x", value + "0", value[:-1], f"{value}\n", f"0{value}", "ÿ"):
            with pytest.raises(Unverified):
                check(recipe, {**headers, name: other}, keys=[key])
    for body, at, keys in ((BODY + b" ", AT, [key]), (BODY, AT + 301, [key]), (BODY, AT, [bytes(32)]), (BODY, AT, [])):
        with pytest.raises(Unverified):
            check(recipe, headers, body, at, keys)


def test_a_static_secret_is_compared_and_never_kept(recipe_of: Any) -> None:
    """What is kept for a later look is a digest of it."""
    recipe = recipe_of({"scheme": "static", "secret_env": ["OLD", "NEW"], "header": "X-Webhook-Secret"}, OLD="o", NEW=S)

    check(recipe, {"x-webhook-secret": S})
    for wrong in (S[:-1], S + "x", "", S.lower()):
        with pytest.raises(Unverified):
            check(recipe, {"X-Webhook-Secret": wrong})
    collection = collect(recipe, [(b"X-Webhook-Secret", S.encode())])
    assert S not in str(collection) + repr(recipe)
    verify(recipe, collection, body=b"", received_at=0)


def test_nothing_but_the_headers_of_the_recipe_is_collected(recipe_of: Any) -> None:
    """Cookies, keys and addresses of the sender are nobody's business."""
    recipe = recipe_of(STANDARD, S=f"whsec_{S}")
    others = {"Authorization": "Bearer x", "Cookie": "a=b", "X-Forwarded-For": "1.2.3.4", "Host": "h"}
    raw = [(name.encode(), value.encode()) for name, value in (others | standard(RIGHT_V1)).items()]

    assert dict(collect(recipe, raw)) == standard(RIGHT_V1)
    assert set(headers_of(recipe)) == set(standard(""))


NASTY = st.one_of(
    st.binary(max_size=80),
    st.sampled_from([value.encode("latin-1") for value in MALFORMED]),
    st.sampled_from([RIGHT_V1.encode(), f"t={AT},v1={RIGHT_HEX}".encode(), str(AT).encode(), b"msg_1", b"9" * 400]),
)


@settings(max_examples=300)
@given(data=st.data())
def test_no_header_or_body_ends_in_another_error(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    """Property: whatever bytes come, the answer is Unverified or a pass; and a pass needs the right body."""
    _, part, secret, headers, body, at = data.draw(st.sampled_from(VECTORS))
    recipe = _RECIPES.get(str(part)) or _recipe(tmp_path_factory, part, secret)
    names = [name.lower().encode() for name in headers]
    drawn_headers = data.draw(st.lists(st.tuples(st.sampled_from(names), NASTY), max_size=5))
    text = data.draw(st.one_of(st.binary(max_size=60), st.just(body)))
    try:
        verify(recipe, collect(recipe, drawn_headers), body=text, received_at=at)
    except Unverified:
        return
    assert text == body


_RECIPES: dict[str, Recipe] = {}


def _recipe(folders: pytest.TempPathFactory, part: dict[str, Any], secret: str) -> Recipe:
    path = folders.mktemp("verify") / "framerelay.yaml"
    path.write_text(json.dumps({"verify": part}))
    recipe = read_verifiers(path, {"S": secret}).upstream
    assert recipe is not None
    return _RECIPES.setdefault(str(part), recipe)
