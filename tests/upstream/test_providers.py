"""The providers there are: that of the settings, those of ``framerelay.yaml``, and the profiles that are shipped."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.datastructures import Secret

from framerelay.config.settings import Settings
from framerelay.runs.errors import NotFound, RequestInvalid, StoryboardInvalid
from framerelay.upstream.profile_models import Price
from framerelay.upstream.providers import Providers, read_providers, require_key

Read = Callable[..., Providers]
MINE = """
profile: 1
id: mine
title: Mine
base: https://mine.example.com/api
key_env: [MINE_API_KEY]
create: {post: /jobs, body: {prompt: "{prompt}"}, id: id}
get: {get: "/jobs/{id}"}
read: {status: status, states: {done: succeeded, bad: failed}, clip: url}
"""


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """``read(yaml, environ, upstream_url=…)``: the providers of that settings file and environment."""

    def make(text: str = "", environ: dict[str, str] | None = None, **settings: object) -> Providers:
        path = tmp_path / "framerelay.yaml"
        path.write_text(text, encoding="utf-8")
        return read_providers(replace(Settings(), config_file=path, **settings), environ or {})  # type: ignore[arg-type]

    return make


def test_without_a_file_the_jobs_api_of_the_settings_is_the_default(read: Read) -> None:
    """Its address and key are FRAMERELAY_UPSTREAM_URL and _KEY."""
    provider = read(upstream_url="https://gw.example.com", upstream_key=Secret("sk-mine")).of(None)

    assert (provider.name, provider.base, provider.key) == ("jobs", "https://gw.example.com", "sk-mine")
    assert provider.calls_back
    assert provider.is_read_leniently
    assert "sk-mine" not in repr(provider)


def test_address_and_key_of_the_settings_are_those_of_the_default_alone(read: Read) -> None:
    """Another provider does not get them: the key would go to a stranger."""
    providers = read(
        "providers: {fal: {}, ark: {}}",
        {"ARK_API_KEY": "sk-ark", "FAL_KEY": "sk-fal"},
        provider="ark",
        upstream_url="https://proxy.example.com/api",
        upstream_key=Secret("sk-proxy"),
    )

    ark, fal = providers.of(None), providers.of("fal")
    assert (ark.name, ark.base, ark.key) == ("ark", "https://proxy.example.com/api", "sk-proxy")
    assert (fal.base, fal.key) == ("https://queue.fal.run", "sk-fal")
    assert providers.of("ark") == ark
    assert set(providers.secrets) == {"sk-proxy", "sk-fal"}


def test_a_key_comes_from_the_variable_that_the_providers_own_tools_use(read: Read) -> None:
    """Or from the one that the file names, and then from that alone."""
    environ = {"ARK_API_KEY": "sk-usual", "ARK_KEY_2": " sk-second\n"}
    providers = read(
        "providers: {ark: {}, two: {profile: ark, key_env: ARK_KEY_2}, none: {profile: ark, key_env: NO}}", environ
    )

    assert [providers.of(name).key for name in ("ark", "two", "none")] == ["sk-usual", "sk-second", None]
    assert read("", environ).of("ark").key == "sk-usual", "a shipped profile needs no line"
    assert read("", environ, provider="ark").of(None).key == "sk-usual"
    with pytest.raises(RequestInvalid, match="the provider none has no key: set NO"):
        require_key(providers.of("none"))
    assert [one.name for one in providers.with_key()] == ["ark", "two"]


def test_a_provider_has_limits_prices_a_secret_and_an_address_of_its_own(read: Read) -> None:
    """As the file says, over what the profile says."""
    provider = read(
        "providers:\n"
        "  cheap:\n"
        "    profile: kie\n"
        "    url: https://kie.example.com/\n"
        "    webhook_secret_env: KIE_SECRET\n"
        "    handoff: inline\n"
        "    jobs_at_once: 5\n"
        "    submits_per_minute: 30\n"
        "    prices: {bytedance/seedance-2: {per_s: {720p: 0.1}, currency: USD}}\n",
        {"KIE_SECRET": "shh"},
    ).of("cheap")

    assert (provider.profile.id, provider.base) == ("kie", "https://kie.example.com/")
    assert (provider.webhook_secret, provider.handoff) == ("shh", "inline")
    assert (provider.jobs_at_once, provider.submits_per_minute) == (5, 30)
    assert provider.price_of("bytedance/seedance-2") == Price(currency="USD", per_s={"720p": 0.1})
    assert provider.price_of("nobody's") is None
    assert "shh" not in repr(provider)


def test_a_profile_can_be_a_file_next_to_the_settings(read: Read, tmp_path: Path) -> None:
    """By its path from there."""
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "mine.yaml").write_text(MINE, encoding="utf-8")
    provider = read("providers: {gw: {profile: ./profiles/mine.yaml}}", {"MINE_API_KEY": "sk-mine"}).of("gw")

    assert (provider.name, provider.profile.id, provider.key) == ("gw", "mine", "sk-mine")
    assert provider.base == "https://mine.example.com/api"


def test_every_mistake_is_reported_with_its_line(read: Read, tmp_path: Path) -> None:
    """All of them, in the order of the file."""
    (tmp_path / "bad.yaml").write_text(
        MINE.replace("states: {done: succeeded, bad: failed}", "states: {done: ok, bad: failed}"), encoding="utf-8"
    )
    text = """providers:
  arc: {}
  a: {profile: klng}
  b: {profile: ./none.yaml}
  c: {profile: ./bad.yaml}
  d:
    profile: ark
    key: sk-in-the-open
    webhook_secret: shh
    base: https://x
    handof: inline
    handoff: email
    jobs_at_once: 0
    submits_per_minute: -1
    url: ftp://x
    prices: {m: {per_second: 1, currency: USD}, n: 5}
  e: {profile: ark, key_env: 5, prices: [1]}
  "f g": {profile: ark}
  h: {profile: ark, key_env: sk-in-the-open}
"""
    with pytest.raises(StoryboardInvalid) as failure:
        read(text)
    mistakes = [str(mistake) for mistake in failure.value.mistakes]
    expected = [
        ("line 2, providers.arc: ", "name its profile"),
        ("line 3, providers.a.profile: ", 'did you mean "kling"'),
        ("line 4, providers.b.profile: ", "none.yaml"),
        ("line 5, providers.c.profile: ", "in ./bad.yaml, line 9"),
        ("line 8, providers.d.key: ", "this file holds no key"),
        ("line 9, providers.d.webhook_secret: ", "this file holds no secret"),
        ("line 10, providers.d.base: ", "write url"),
        ("line 11, providers.d.handof: ", 'did you mean "handoff"'),
        ("line 12, providers.d.handoff: ", 'expected one of auto, upload, inline, serve, found "email"'),
        ("line 13, providers.d.jobs_at_once: ", "expected a whole number of 1 or more, found 0"),
        ("line 14, providers.d.submits_per_minute: ", "expected a number above 0, found -1"),
        ("line 15, providers.d.url: ", ""),
        ("line 16, providers.d.prices.m.per_second: ", 'unknown key "per_second"'),
        ("line 16, providers.d.prices.n: ", ""),
        ("line 17, providers.e.key_env: ", ""),
        ("line 17, providers.e.prices: ", "expected prices by model"),
        ("line 18, ", "f g"),
        ("line 19, providers.h.key_env: ", "expected the name of a variable"),
    ]
    for place, words in expected:
        assert [line for line in mistakes if line.startswith(place) and words in line], (place, words, mistakes)
    assert "sk-in-the-open" not in "".join(mistakes)
    lines = [int(line.split()[1].rstrip(",")) for line in mistakes]
    assert lines == sorted(lines)
    assert len({line.partition(": ")[0] for line in mistakes}) == len(expected), mistakes


def test_a_missing_default_is_reported_with_similar_names(read: Read) -> None:
    """At the start, not at the first submit."""
    with pytest.raises(NotFound, match='no provider "klng"'):
        read(provider="klng")
    assert read("providers: {mine: {profile: ark}}", provider="mine").of(None).name == "mine"


def test_a_provider_without_an_address_of_its_own_needs_one(read: Read) -> None:
    """Everybody's jobs API is somewhere else; the one in the profile is an example."""
    with pytest.raises(RequestInvalid, match="the provider jobs needs an address: set FRAMERELAY_UPSTREAM_URL"):
        require_key(read(upstream_key=Secret("k")).of(None))
    with pytest.raises(RequestInvalid, match="the provider jobs has no key: set FRAMERELAY_UPSTREAM_KEY"):
        require_key(read(upstream_url="https://gw.example.com").of(None))
    assert require_key(read(upstream_url="https://gw.example.com", upstream_key=Secret("k")).of(None)).key == "k"


@pytest.mark.parametrize(
    ("variable", "more"),
    [
        ("FAL_KEY", "key_env: [FAL_KEY]"),
        ("FRAMERELAY_SECRET", "key_env: [FRAMERELAY_SECRET]"),
        ("KLING_WEBHOOK_SECRET", "callback: {signature: {scheme: vidu, secret_env: KLING_WEBHOOK_SECRET}}"),
    ],
)
def test_a_profile_that_was_sent_to_somebody_takes_no_keys_of_others(
    variable: str, more: str, read: Read, tmp_path: Path
) -> None:
    """Its author would be sent the key of another provider; a person who wants that says so in the settings."""
    text = "\n".join(line for line in MINE.splitlines() if not line.startswith("key_env") or "callback" in more)
    (tmp_path / "mine.yaml").write_text(f"{text}\n{more}\n", encoding="utf-8")

    with pytest.raises(StoryboardInvalid, match=rf"asks for {variable}.* to send it to mine\.example\.com"):
        read("providers: {mine: {profile: ./mine.yaml}}", {variable: "a secret of somebody"})
    assert read("providers: {mine: {profile: ./mine.yaml}}").of("mine").key is None
    key = "key_env" if "key_env" in more else "webhook_secret_env"
    providers_there = read(
        f"providers: {{mine: {{profile: ./mine.yaml, {key}: {variable}}}}}", {variable: "a secret of somebody"}
    )
    assert "a secret of somebody" in (providers_there.of("mine").key, providers_there.of("mine").webhook_secret)


def test_a_profile_that_extends_one_at_its_own_address_takes_its_key(read: Read, tmp_path: Path) -> None:
    """Nothing goes where it would not have gone."""
    (tmp_path / "mine.yaml").write_text("profile: 1\nid: mine\nextends: fal\n", encoding="utf-8")

    assert read("providers: {mine: {profile: ./mine.yaml}}", {"FAL_KEY": "sk-fal"}).of("mine").key == "sk-fal"


def test_the_key_of_a_provider_that_needs_no_line_is_a_secret_too(read: Read) -> None:
    """A storyboard may name it, and its callbacks may repeat the key."""
    assert set(
        read(environ={"FAL_KEY": "sk-fal-sk-fal-sk-fal", "KLING_WEBHOOK_SECRET": "whsec_x_whsec_x_whsec"}).secrets
    ) == {"sk-fal-sk-fal-sk-fal", "whsec_x_whsec_x_whsec"}
