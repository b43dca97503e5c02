"""
The signatures that one provider each has: Vidu's, PixVerse's, and the public-key one of Standard Webhooks.

What is expected was made with the ``openssl`` command; the key pair is that of RFC 8032, 7.1, test 1.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from framerelay.runs.errors import Unverified
from framerelay.upstream.signatures import PublicKeyRecipe, Recipe, collect, jwks_url_of, verify
from framerelay.upstream.verifiers import GEMINI_JWKS, read_verifiers

S = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
AT = 1710000000
DATE = "Sat, 09 Mar 2024 16:00:00 GMT"
TARGET = b"/callbacks/tok_1?a=1&b=2"
VIDU = {
    "Date": DATE,
    "x-request-nonce": "n0nce",
    "X-HMAC-ALGORITHM": "hmac-sha256",
    "X-HMAC-ACCESS-KEY": "vidu",
    "X-HMAC-SIGNED-HEADERS": "Date;x-request-nonce",
    "X-HMAC-SIGNATURE": "FGLHsv8ASHgZhmzJaJQXOvLqjIOJe+eSv4KZb0c5pVE=",
}
PIXVERSE = {
    "Webhook-Timestamp": str(AT),
    "Webhook-Nonce": "abcdefghijklmnopqrstuvwxyz012345",
    "Webhook-Signature": "MfNcmtE23H3WGB7p37iQpSsAEuYIekD2cAPzJpAAX9c=",
}
DONE = b'{"id":"123456789","status":1,"url":"https://example.com/video.mp4","size":10.5,"has_audio":true,"credits":100}'
PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
V1A = "v1a,J/3Yut9BxpHWAHH9mlHm2T42bEkgPxg56BRxCJQ9dbJeoPVl2FR6Gub/IlYbnYXw48l4ZZ6WX4fVrhPQkMM8Bw=="
GEMINI = {"webhook-id": "msg_1", "webhook-timestamp": str(AT), "webhook-signature": V1A}
BODY = b'{"id":"job_example","status":"succeeded"}'


@pytest.fixture
def recipe_of(tmp_path: Path) -> Callable[..., Recipe]:
    """``recipe_of("vidu")``: what ``verify:`` makes of that scheme, with the secret S or another."""

    def read(scheme: str, *, secret: str = S) -> Recipe:
        part = {"scheme": scheme} | ({} if scheme == "gemini-v1a" else {"secret_env": "S"})
        path = tmp_path / "framerelay.yaml"
        path.write_text(json.dumps({"verify": part}), encoding="utf-8")
        recipe = read_verifiers(path, {"S": secret}).upstream
        assert recipe is not None
        return recipe

    return read


def check(recipe: Recipe, headers: Any, body: bytes, *, at: float = AT, target: bytes = TARGET, keys: Any = ()) -> None:
    """What the receiver does."""
    pairs = headers.items() if isinstance(headers, dict) else headers
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]
    verify(recipe, collect(recipe, raw, target=target), body=body, received_at=at, public_keys=keys)


ALL = [("vidu", VIDU, b"{}"), ("pixverse", PIXVERSE, DONE), ("gemini-v1a", GEMINI, BODY)]


@pytest.mark.parametrize(("scheme", "headers", "body"), ALL, ids=[each[0] for each in ALL])
def test_what_is_signed_passes(recipe_of: Any, scheme: str, headers: dict[str, str], body: bytes) -> None:
    """However the names of the headers are written, and up to 300 s from the moment of receipt."""
    recipe = recipe_of(scheme)
    for at in (AT - 300, AT, AT + 300.9):
        check(recipe, headers, body, at=at, keys=[bytes(32), PUBLIC])
    check(recipe, {name.upper(): value for name, value in headers.items()}, body, keys=[PUBLIC])


@pytest.mark.parametrize(("scheme", "headers", "body"), ALL, ids=[each[0] for each in ALL])
def test_what_is_altered_fails(recipe_of: Any, scheme: str, headers: dict[str, str], body: bytes) -> None:
    """Each header left out, doubled, or of another value; another time; another secret or key."""
    recipe = recipe_of(scheme)
    needs = [name for name in headers if name not in ("X-HMAC-ALGORITHM", "X-HMAC-ACCESS-KEY")]
    for name in needs:
        rest = {each: value for each, value in headers.items() if each != name}
        with pytest.raises(Unverified, match="is missing"):
            check(recipe, rest, body, keys=[PUBLIC])
        with pytest.raises(Unverified, match="more than once"):
            check(recipe, [*headers.items(), (name, headers[name])], body, keys=[PUBLIC])
        for value in (headers[name][:-1] + "X", "", "\xff", "0" * 5000, f"{headers[name]};{headers[name]}"):
            with pytest.raises(Unverified):
                check(recipe, {**headers, name: value}, body, keys=[PUBLIC])
    for at in (AT - 301, AT + 301):
        with pytest.raises(Unverified, match="signed 301 s"):
            check(recipe, headers, body, at=at, keys=[PUBLIC])
    with pytest.raises(Unverified):
        check(recipe_of(scheme, secret=S[::-1]), headers, body, keys=[bytes(32)])


def test_vidu_signs_the_address_that_it_called(recipe_of: Any) -> None:
    """What a proxy rewrites does not pass, and neither does a signature that was made for another take."""
    for target in (b"/callbacks/tok_2?a=1&b=2", b"/callbacks/tok_1?a=1", b"/callbacks/tok_1", b""):
        with pytest.raises(Unverified, match="what it covers was altered"):
            check(recipe_of("vidu"), VIDU, b"{}", target=target)


def test_vidus_signature_does_not_cover_the_body(recipe_of: Any) -> None:
    """It proves the sender, not the words: said here so that nobody relies on it. The look-up is what decides."""
    check(recipe_of("vidu"), VIDU, b'{"state":"failed"}')


def test_vidus_headers_count_in_the_order_that_it_names(recipe_of: Any) -> None:
    """The sender chooses the order, and which of the two; any other header would be one that a stranger can add."""
    other_headers = {
        **VIDU,
        "X-HMAC-SIGNED-HEADERS": "x-request-nonce;Date",
        "X-HMAC-SIGNATURE": "LGuTlXt5rPFvUg4ynama+LJ0u7v2KeghL4SkLK4rSaM=",
    }
    check(recipe_of("vidu"), other_headers, b"{}", target=b"/callbacks/tok_1")
    with pytest.raises(Unverified, match="more than the date and the nonce"):
        check(recipe_of("vidu"), {**VIDU, "X-HMAC-SIGNED-HEADERS": "Date;Host"}, b"{}")
    with pytest.raises(Unverified, match="not one that HTTP knows"):
        check(recipe_of("vidu"), {**VIDU, "Date": "yesterday"}, b"{}")


@pytest.mark.parametrize(
    "signature", ["nyWfxdmI4K5T4mW8bwC2xPNgstyNXDesNYp7HZs3VoE=", "Bv/QRzHq87yw6YhXLwdZjkaoffvzLnJFYCbAP76lryE="]
)
def test_pixverse_may_write_a_blank_either_way(recipe_of: Any, signature: str) -> None:
    """As forms do, ``+``, or as addresses do, ``%20``: its page does not say which."""
    headers = {"webhook-timestamp": str(AT), "webhook-nonce": "n", "webhook-signature": signature}
    check(recipe_of("pixverse"), headers, b'{"status": 8, "prompt": "a cat"}')


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"[" * 100_000, b"\xff", b'{"a": ', b"5"])
def test_pixverse_signs_no_body_that_is_no_object(recipe_of: Any, body: bytes) -> None:
    """Whatever comes, it ends in the same error."""
    with pytest.raises(Unverified):
        check(recipe_of("pixverse"), PIXVERSE, body)


def test_the_fields_of_pixverse_are_unambiguous(recipe_of: Any) -> None:
    """A value, a key, one field more, and the text in place of a list."""
    for change in (
        {"status": 7},
        {"url": "https://evil.example/video.mp4"},
        {"more": 1},
        {"credits": [100]},
        {"credits": None},
    ):
        with pytest.raises(Unverified):
            check(recipe_of("pixverse"), PIXVERSE, json.dumps({**json.loads(DONE), **change}).encode())


def test_the_key_of_gemini_is_public(recipe_of: Any) -> None:
    """Without keys nothing passes; where they are is known, and may be said."""
    recipe = recipe_of("gemini-v1a")
    assert recipe == PublicKeyRecipe(jwks_url=GEMINI_JWKS)
    assert jwks_url_of(recipe) == GEMINI_JWKS
    with pytest.raises(Unverified, match="could not be fetched"):
        check(recipe, GEMINI, BODY)
    with pytest.raises(Unverified, match="none of the sender's public keys"):
        check(recipe, GEMINI, BODY + b" ", keys=[PUBLIC])
    with pytest.raises(Unverified, match="no signature of version v1a"):
        check(recipe, {**GEMINI, "webhook-signature": V1A.replace("v1a", "v1")}, BODY, keys=[PUBLIC])
    check(recipe, {**GEMINI, "webhook-signature": f"v1,x v1a,! {V1A}"}, BODY, keys=[PUBLIC])
