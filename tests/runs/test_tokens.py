"""Callback addresses and signed links: only ours open, and they need no database."""

import base64
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from framerelay.runs.tokens import HookAddress, Links, TakeAddress, Tokens

TAKE = TakeAddress(run_id="run_abc", shot_id="s1", take=2)
ENDING = replace(TAKE, ends_at=1_800_000_000)
OLD_TOKEN = "dDpydW5fYWJjOnMxOjI.w5N_CmEjoRG2ourhFY5BRDSA"  # Made by 0.1.0 under "secret".


def test_a_token_names_its_take() -> None:
    """And a hook's token its hook."""
    tokens = Tokens("secret")

    assert tokens.read(tokens.mint(TAKE), now=0) == TAKE
    assert tokens.read(tokens.mint(HookAddress(hook="mine")), now=0) == HookAddress(hook="mine")


def test_the_address_of_a_take_ends_and_that_of_a_hook_does_not() -> None:
    """To the second; and the same take is named whatever the end is, so that a repeat stays a repeat."""
    tokens = Tokens("secret")
    token, hook = tokens.mint(ENDING), tokens.mint(HookAddress(hook="mine"))

    assert tokens.read(token, now=1_799_999_999.9) == ENDING
    assert ENDING.name == TAKE.name
    assert tokens.read(token, now=1_800_000_000) is None
    assert tokens.read(hook, now=10**12) == HookAddress(hook="mine")


def test_nobody_can_give_an_address_a_longer_life() -> None:
    """The end is in the token and is bound by the MAC: neither another one nor none opens anything."""
    tokens = Tokens("secret")
    payload, _, mac = tokens.mint(ENDING).partition(".")
    text = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)).decode()
    assert "1800000000" in text

    for changed_text in (
        text.replace("1800000000", "1900000000"),
        text.removesuffix(":1800000000"),
        text + "0",
        text + ":",
    ):
        forgery = base64.urlsafe_b64encode(changed_text.encode()).rstrip(b"=").decode()
        assert tokens.read(f"{forgery}.{mac}", now=0) is None, changed_text


def test_an_address_that_an_older_version_gave_away_is_still_read() -> None:
    """Jobs submitted before the upgrade call back after it; such an address has no end."""
    assert Tokens("secret").read(OLD_TOKEN, now=10**12) == TAKE


@pytest.mark.parametrize(
    "token", ["", "x", "é" * 50, "a" * 9000, "AAAA." + "A" * 24, "A" + "." + "A" * 24, "AAAAA." + "A" * 24]
)
def test_whatever_is_wrong_a_mac_is_made_and_compared(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same work for malformed, wrong and ended, so that time tells nothing; on bytes of one length."""
    tokens, lengths = Tokens("secret"), []
    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: lengths.append((len(a), len(b))) or real(a, b))

    for each in (token, tokens.mint(ENDING), tokens.mint(TAKE)[:-1] + "!"):
        tokens.read(each, now=10**12)

    assert lengths == [(18, 18)] * 3


def test_a_token_names_the_provider_that_calls_back_there() -> None:
    """Along with its end; and one without a provider, as all were before, is still read."""
    address = TakeAddress(run_id="run_1", shot_id="s1", take=2, ends_at=2_000_000_000, provider="my-fal")
    tokens = Tokens("a secret")

    assert tokens.read(tokens.mint(address), now=1_000_000_000.0) == address
    assert tokens.read(tokens.mint(address), now=2_000_000_000.0) is None
    assert address.name == TakeAddress(run_id="run_1", shot_id="s1", take=2).name
    others = [replace(address, provider=other) for other in (None, "fal", "my-fal2")]
    assert len({tokens.mint(each) for each in (address, *others)}) == 4
    for each in others:
        assert tokens.read(tokens.mint(each), now=1_000_000_000.0) == each


@pytest.mark.parametrize("provider", [None, "ark"])
@pytest.mark.parametrize("ends_at", [None, 2_000_000_000])
def test_whatever_was_minted_is_read_again(ends_at: int | None, provider: str | None) -> None:
    """A provider without an end is read as that, and not as an end that is no number."""
    tokens, address = Tokens("a secret"), replace(TAKE, ends_at=ends_at, provider=provider)

    assert tokens.read(tokens.mint(address), now=1_000_000_000.0) == address


def test_an_address_that_never_was_valid_does_not_become_one_without_an_end() -> None:
    """Not even with a provider after it."""
    tokens = Tokens("a secret")

    assert all(
        tokens.read(tokens.mint(replace(TAKE, ends_at=0, provider=name)), now=1.0) is None for name in (None, "ark")
    )


def test_nobody_can_give_an_address_another_provider() -> None:
    """By whose words a callback is read, and what it has to prove, is part of what was signed."""
    tokens = Tokens("a secret")
    signed_token, unsigned_token = (
        tokens.mint(TakeAddress(run_id="run_1", shot_id="s1", take=2, ends_at=2_000_000_000, provider=name))
        for name in ("fal", "ark")
    )
    forgery = f"{unsigned_token.partition('.')[0]}.{signed_token.partition('.')[2]}"

    assert tokens.read(forgery, now=0.0) is None


def test_each_take_has_an_address_of_its_own_and_always_the_same_one() -> None:
    """A crash between intent and answer does not change it."""
    tokens = Tokens("secret")
    other = TakeAddress(run_id="run_abc", shot_id="s1", take=3)

    assert tokens.mint(TAKE) == Tokens("secret").mint(TAKE)
    assert tokens.mint(TAKE) != tokens.mint(other)
    assert tokens.mint(TAKE) != Tokens("other").mint(TAKE)


@given(st.text(max_size=400))
def test_what_we_did_not_mint_opens_nothing(text: str) -> None:
    """Whatever is in the address: None, never an error."""
    assert Tokens("secret").read(text, now=0) is None


@given(st.integers(0, 10_000), st.characters(min_codepoint=33, max_codepoint=126))
def test_a_token_with_one_letter_changed_opens_nothing_or_the_same(place: int, letter: str) -> None:
    """The last letters of base64 carry unused bits, so that the same bytes may be spelt twice; nothing else opens."""
    tokens = Tokens("secret")
    token = tokens.mint(ENDING)
    place %= len(token)
    changed_token = token[:place] + letter + token[place + 1 :]

    assert tokens.read(changed_token, now=0) in (None, ENDING)


def test_a_token_of_another_secret_opens_nothing() -> None:
    """Two installations do not open each other's addresses."""
    assert Tokens("secret").read(Tokens("other").mint(TAKE), now=0) is None


def test_a_hooks_run_is_named_by_secret_hook_and_job() -> None:
    """The same callback twice is the same run; nobody outside can tell its id."""
    tokens = Tokens("secret")

    assert tokens.hook_run("h", "job_1") == tokens.hook_run("h", "job_1")
    ids = {tokens.hook_run("h", "job_1"), tokens.hook_run("h", "job_2"), tokens.hook_run("g", "job_1")}
    assert len(ids | {Tokens("other").hook_run("h", "job_1")}) == 4


def link_parts(link: str) -> tuple[str, str]:
    query = dict(part.split("=") for part in link.partition("?")[2].split("&"))
    return query["expires"], query["signature"]


def test_a_link_opens_its_file_until_it_expires() -> None:
    """Not another file, not a later moment, not a longer life."""
    links = Links("secret")
    expires, signature = link_parts(links.sign("/media/run_a/s1.1.mp4", expires_at=1000))

    assert links.opens("/media/run_a/s1.1.mp4", expires=expires, signature=signature, now=999)
    assert not links.opens("/media/run_a/s1.1.mp4", expires=expires, signature=signature, now=1000)
    assert not links.opens("/media/run_a/s2.1.mp4", expires=expires, signature=signature, now=999)
    assert not links.opens("/media/run_a/s1.1.mp4", expires="2000", signature=signature, now=999)


@pytest.mark.parametrize(("expires", "signature"), [("", ""), ("x", "y"), ("٣", "é"), ("9" * 50, "z"), ("-1", "")])
def test_a_malformed_link_is_refused_not_an_error(expires: str, signature: str) -> None:
    """Strangers write these."""
    assert not Links("secret").opens("/media/a", expires=expires, signature=signature, now=0)
