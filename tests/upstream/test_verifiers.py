"""The ``verify:`` parts of the settings file: who must prove what, and every mistake with its place."""

import re
from pathlib import Path

import pytest

from framerelay.config.settings import environment
from framerelay.runs.errors import StoryboardInvalid
from framerelay.storyboards.hooks import read_hooks
from framerelay.upstream.signatures import FalRecipe, HmacRecipe, Recipe, StaticRecipe
from framerelay.upstream.verifiers import FAL_JWKS, Verifiers, read_verifiers

ENVIRON = {"SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "PLAIN": "a plain secret", "EMPTY": " "}


def write(folder: Path, text: str) -> Path:
    """The settings file."""
    path = folder / "framerelay.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def mistakes_of(path: Path) -> list[str]:
    """Every mistake."""
    with pytest.raises(StoryboardInvalid) as failure:
        read_verifiers(path, ENVIRON)
    return [str(mistake) for mistake in failure.value.mistakes]


def keys_of(recipe: Recipe | None) -> tuple[bytes, ...]:
    """The keys of an HMAC."""
    assert isinstance(recipe, HmacRecipe)
    return recipe.keys


def test_without_settings_the_token_is_all(tmp_path: Path) -> None:
    """No file, an empty one, one that only names hooks."""
    assert read_verifiers(tmp_path / "framerelay.yaml", {}) == Verifiers()
    for text in ("", "hooks:\n", "hooks: {a: , b: {title: x}}\n", "verify: none\n"):
        assert read_verifiers(write(tmp_path, text), {}).of("a") is None


def test_a_hook_has_its_own_verifier_or_the_upstreams(tmp_path: Path) -> None:
    """Hooks that nothing is said about are no way around the upstream's; ``none`` says that one is."""
    text = "verify: {scheme: fal}\nhooks: {own: {verify: {scheme: static, header: X, secret_env: PLAIN}}, "
    verifiers = read_verifiers(write(tmp_path, text + "open: {verify: none}, other: {title: x}}"), ENVIRON)

    assert [verifiers.of(hook) for hook in (None, "other", "unnamed")] == [FalRecipe(jwks_url=FAL_JWKS)] * 3
    assert isinstance(verifiers.of("own"), StaticRecipe)
    assert verifiers.of("open") is None
    assert verifiers.jwks_urls == {FAL_JWKS}


def test_a_worker_reads_hooks_without_the_secrets(tmp_path: Path) -> None:
    """Only the receiver needs them; its file is the same."""
    path = write(tmp_path, "verify: {scheme: hmac, header: x, secret_env: GONE}\nhooks: {a: {title: x, verify: none}}")

    assert read_hooks(path)["a"].title == "x"


def test_the_encoding_of_a_secret_is_reported(tmp_path: Path) -> None:
    """The same text is another key in each; only Standard Webhooks has a prefix that is no part of it."""
    (tmp_path / "secret").write_text("whsec_00ff00ff\n")
    keys = {}
    for encoding in ("base64", "hex", "utf8"):
        text = f"verify: {{scheme: standard-webhooks, secret_file: secret, secret_encoding: {encoding}}}"
        (keys[encoding],) = keys_of(read_verifiers(write(tmp_path, text), {}).upstream)
    assert keys == {
        "base64": bytes.fromhex("d347dfd347df"),
        "hex": b"\0\xff\0\xff",
        "utf8": b"00ff00ff",
    }
    text = "verify: {scheme: timestamped, header: Stripe-Signature, secret_file: secret}"
    assert keys_of(read_verifiers(write(tmp_path, text), {}).upstream) == (b"whsec_00ff00ff",)


def test_every_mistake_is_reported_with_its_place(tmp_path: Path) -> None:
    """A verifier that cannot work stops the start: nobody learns of it from callbacks that were let through."""
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    text = """\
verify:
  scheme: standard-webhooks
  secret_env: [SECRET, GONE, EMPTY]
  secret_encoding: rot13
hooks:
  a: {verify: {scheme: hmac, secret: my secret}}
  b: {verify: {scheme: hamc}}
  c: {verify: {scheme: static, header: Authorization, secret_file: [gone, empty, bytes]}}
  d: {verify: }
  e: {verfy: none}
  f: {verify: {scheme: standard-webhooks, secret_env: PLAIN}}
  g: {verify: {scheme: hmac, header: "a b", digest: md5, secrets_env: PLAIN}}
  h: {verify: {scheme: fal, jwks_url: example.com, secret_env: PLAIN}}
  i: {verify: all}
"""
    mistakes = mistakes_of(write(tmp_path, text))

    assert mistakes == [
        "line 3, verify.secret_env[1]: the variable GONE is not set, or empty",
        "line 3, verify.secret_env[2]: the variable EMPTY is not set, or empty",
        'line 4, verify.secret_encoding: expected one of base64, hex, utf8, found "rot13"',
        "line 6, hooks.a.verify.header: name the header that carries it",
        "line 6, hooks.a.verify.secret: this file holds no secret: name a variable (secret_env) or a file "
        "(secret_file) that holds it",
        "line 7, hooks.b.verify.scheme: expected one of standard-webhooks, hmac, timestamped, kie, static, fal, "
        'gemini-v1a, vidu, pixverse, found the text "hamc"',
        "line 8, hooks.c.verify.header: authorization is never kept, so nothing can be verified by it; give the sender "
        "a header of its own",
        "line 8, hooks.c.verify.secret_file[0]: gone cannot be read: no such file or directory",
        "line 8, hooks.c.verify.secret_file[1]: empty is empty",
        "line 8, hooks.c.verify.secret_file[2]: bytes does not hold text",
        "line 9, hooks.d.verify: expected keys with values or the word none, found nothing",
        'line 10, hooks.e.verfy: unknown key "verfy" (did you mean "verify"?)',
        "line 11, hooks.f.verify.secret_env: what it holds is not base64: see the provider's page, and say "
        "secret_encoding: base64, hex or utf8",
        'line 12, hooks.g.verify.header: "a b" cannot be the name of a header',
        'line 12, hooks.g.verify.digest: expected one of hex, base64, found "md5"',
        'line 12, hooks.g.verify.secrets_env: unknown key "secrets_env" (did you mean "secret_env" or "secret_file"?)',
        'line 13, hooks.h.verify.jwks_url: expected a URL that begins with https:// or http://, found "example.com"',
        'line 13, hooks.h.verify.secret_env: unknown key "secret_env"; known here: scheme, jwks_url',
        'line 14, hooks.i.verify: expected keys with values or the word none, found the text "all"',
    ]
    assert not any(secret in str(mistakes) for secret in (*ENVIRON.values(), "my secret") if secret.strip())


def test_no_secret_is_shown(tmp_path: Path) -> None:
    """Whatever prints the verifiers, a traceback, say."""
    text = "verify: {scheme: hmac, header: x, secret_env: PLAIN}\nhooks: {h: {verify: {scheme: static, header: x, "
    verifiers = read_verifiers(write(tmp_path, text + "secret_env: PLAIN}}}"), ENVIRON)

    assert ENVIRON["PLAIN"] not in repr(verifiers)
    assert set(verifiers.secrets) == {ENVIRON["PLAIN"]}


def test_more_secrets_than_a_rotation_needs_are_refused(tmp_path: Path) -> None:
    """Each one costs a digest of the whole body."""
    names = ", ".join(["PLAIN"] * 9)

    assert (
        "9 secrets are too many"
        in mistakes_of(write(tmp_path, f"verify: {{scheme: hmac, header: x, secret_env: [{names}]}}"))[0]
    )


def test_the_examples_in_the_page_are_sound(tmp_path: Path) -> None:
    """What a reader copies into framerelay.yaml works."""
    text = (Path(__file__).parents[2] / "docs" / "verification.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```yaml\n(.*?)^```", text, re.M | re.S)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "studio").write_text("a secret of the studio")
    environ = dict.fromkeys(("UPSTREAM_WEBHOOK_SECRET", "WEBHOOK_SECRET"), ENVIRON["SECRET"].removeprefix("whsec_"))

    assert len(blocks) == 14
    assert all(read_verifiers(write(tmp_path, block), environ).upstream for block in blocks)


def test_a_secret_may_be_in_the_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Like every other secret; the process's own variables go first."""
    (tmp_path / ".env").write_text("FROM_FILE=from the file\nFROM_BOTH=from the file\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FROM_BOTH", "from the process")
    path = write(tmp_path, "verify: {scheme: hmac, header: x, secret_env: [FROM_FILE, FROM_BOTH]}")

    assert keys_of(read_verifiers(path, environment()).upstream) == (b"from the file", b"from the process")
