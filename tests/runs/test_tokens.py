"""Callback addresses and signed links: only ours open, and they need no database."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs.tokens import HookAddress, Links, TakeAddress, Tokens

TAKE = TakeAddress(run="run_abc", shot="s1", take=2)


def test_a_token_names_its_take() -> None:
    """And a hook's token its hook."""
    tokens = Tokens("secret")

    assert tokens.read(tokens.mint(TAKE)) == TAKE
    assert tokens.read(tokens.mint(HookAddress(hook="mine"))) == HookAddress(hook="mine")


def test_each_take_has_an_address_of_its_own_and_always_the_same_one() -> None:
    """A crash between intent and answer does not change it."""
    tokens = Tokens("secret")
    other = TakeAddress(run="run_abc", shot="s1", take=3)

    assert tokens.mint(TAKE) == Tokens("secret").mint(TAKE)
    assert tokens.mint(TAKE) != tokens.mint(other)
    assert tokens.mint(TAKE) != Tokens("other").mint(TAKE)


@given(st.text(max_size=400))
def test_what_we_did_not_mint_opens_nothing(text: str) -> None:
    """Whatever stands in the address: None, never an error."""
    assert Tokens("secret").read(text) is None


@given(st.integers(0, 10_000), st.characters(min_codepoint=33, max_codepoint=126))
def test_a_token_with_one_letter_changed_opens_nothing_or_the_same(place: int, letter: str) -> None:
    """The last letters of base64 carry unused bits, so that the same bytes may be spelt twice; nothing else opens."""
    tokens = Tokens("secret")
    token = tokens.mint(TAKE)
    place %= len(token)
    changed = token[:place] + letter + token[place + 1 :]

    assert tokens.read(changed) in (None, TAKE)


def test_a_token_of_another_secret_opens_nothing() -> None:
    """Two installations do not open each other's addresses."""
    assert Tokens("secret").read(Tokens("other").mint(TAKE)) is None


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
    expires, signature = link_parts(links.signed("/media/run_a/s1.1.mp4", expires_at=1000))

    assert links.opens("/media/run_a/s1.1.mp4", expires=expires, signature=signature, now=999)
    assert not links.opens("/media/run_a/s1.1.mp4", expires=expires, signature=signature, now=1000)
    assert not links.opens("/media/run_a/s2.1.mp4", expires=expires, signature=signature, now=999)
    assert not links.opens("/media/run_a/s1.1.mp4", expires="2000", signature=signature, now=999)


@pytest.mark.parametrize(("expires", "signature"), [("", ""), ("x", "y"), ("٣", "é"), ("9" * 50, "z"), ("-1", "")])
def test_a_malformed_link_is_refused_not_an_error(expires: str, signature: str) -> None:
    """Strangers write these."""
    assert not Links("secret").opens("/media/a", expires=expires, signature=signature, now=0)
