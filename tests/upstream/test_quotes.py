"""A storyboard with its prices: what is known of each shot, and which budgets of money cannot be kept."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.datastructures import Secret

from framerelay.config.settings import Settings
from framerelay.runs.costs import Estimate
from framerelay.runs.errors import StoryboardInvalid
from framerelay.storyboards.plan import plan_of
from framerelay.storyboards.storyboard import read_storyboard
from framerelay.upstream.providers import Providers, read_providers
from framerelay.upstream.quotes import with_estimates

PROVIDERS = """
providers:
  jobs: {prices: {cheap: {per_s: 0.1, currency: USD}, clip: {per_clip: 0.5, currency: USD}}}
  yuan: {profile: ark, prices: {cheap: {per_s: 1, currency: CNY}}}
"""


@pytest.fixture
def providers(tmp_path: Path) -> Providers:
    """The user's API with prices of its own, and one that wants yuan."""
    (tmp_path / "framerelay.yaml").write_text(PROVIDERS, encoding="utf-8")
    settings = Settings(upstream_url="https://gw.example.com", upstream_key=Secret("k" * 8))
    return read_providers(replace(settings, config_file=tmp_path / "framerelay.yaml"), {})


def estimates(text: str, providers: Providers) -> list[Any]:
    """Of each shot."""
    return [shot.estimate for shot in with_estimates(read_storyboard(text, form="yaml"), providers).shots]


def refusal(text: str, providers: Providers) -> str:
    """What is wrong with *text*."""
    with pytest.raises(StoryboardInvalid) as failure:
        with_estimates(read_storyboard(text, form="yaml"), providers)
    (mistake,) = failure.value.mistakes
    return str(mistake)


def test_each_shot_is_priced_by_its_own_provider_model_and_length(providers: Providers) -> None:
    """The inner word counts; a model without a price has none."""
    board = """
model: cheap
shots:
  - {prompt: a, duration: 5}
  - {prompt: b, model: clip}
  - {prompt: c, model: unheard-of, duration: 5}
  - {prompt: d, provider: yuan, duration: 5}
"""
    assert estimates(board, providers) == [
        Estimate(low=0.5, high=0.5, currency="USD"),
        Estimate(low=0.5, high=0.5, currency="USD"),
        None,
        Estimate(low=5, high=5, currency="CNY"),
    ]


@pytest.mark.parametrize(("money", "words"), [(1.0, []), (0.9, ["may cost 1.00 USD", "no longer fits into 0.90 USD"])])
def test_a_budget_of_money_that_ends_before_the_film_is_warned_of(
    providers: Providers, money: float, words: list[str]
) -> None:
    """As one of jobs is: by the most that the film may cost."""
    shots = "  - {prompt: a, duration: 5}\n  - {prompt: b, duration: 5}\n"
    board = read_storyboard(f"model: cheap\nbudget: {{money: {money}}}\nshots:\n{shots}", form="yaml")
    warnings = [one.message for one in plan_of(with_estimates(board, providers), None).cautions if "budget" in one.code]
    assert len(warnings) == bool(words)
    assert all(word in warnings[0] for word in words)


def test_a_budget_of_money_needs_the_price_of_every_shot(providers: Providers) -> None:
    """With the line of the budget, the shot, and what to do."""
    shots = "  - {id: a, prompt: a, duration: 5}\n  - {id: b, prompt: b, model: odd}\n"
    board = f"model: cheap\nshots:\n{shots}budget:\n  money: 9"

    assert refusal(board, providers) == (
        "line 6, budget.money: no price is known for odd (shot b), so the money cannot be kept to: set it under prices "
        "of its provider in framerelay.yaml, or give a budget of jobs"
    )
    assert len(estimates(board.replace("  money: 9", "  jobs: 9"), providers)) == 2


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("currency: CNY", "the budget is in CNY, and a price is in USD: nothing is converted here"),
        ("currency: USD", None),
        ("", None),
    ],
)
def test_a_budget_of_money_has_one_currency(providers: Providers, more: str, words: str | None) -> None:
    """Nobody looks up rates of exchange."""
    board = f"model: cheap\nbudget: {{money: 9}}\n{more}\nshots:\n  - {{prompt: a, duration: 5}}\n"

    if words is None:
        assert estimates(board, providers) == [Estimate(low=0.5, high=0.5, currency="USD")]
    else:
        assert refusal(board, providers) == f"line 2, budget.money: {words}"


def test_shots_of_two_currencies_have_no_common_budget(providers: Providers) -> None:
    """Each is known, and their sum is not."""
    board = (
        "model: cheap\nbudget: {money: 9}\nshots:\n"
        "  - {prompt: a, duration: 5}\n  - {prompt: b, duration: 5, provider: yuan}\n"
    )
    assert "and a price is in USD: nothing is converted here" in refusal(board, providers)
    assert len(estimates(board.replace("budget: {money: 9}\n", ""), providers)) == 2


@pytest.mark.parametrize(
    ("board", "place"),
    [
        ("provider: hailou\nmodel: m\nshots:\n  - {prompt: a}\n", "line 1, provider"),
        ("model: m\nshots:\n  - prompt: a\n  - prompt: b\n    provider: hailou\n", "line 5, shots[1].provider"),
        (
            "model: m\nscenes:\n  - shots: [{prompt: a}]\n  - provider: hailou\n    shots: [{prompt: b}]\n",
            "line 4, scenes[1].provider",
        ),
    ],
)
def test_a_missing_provider_is_reported_where_it_is_named(providers: Providers, board: str, place: str) -> None:
    """At the top, in a scene or in a shot, with what is near it."""
    assert refusal(board, providers).startswith(f'{place}: there is no provider "hailou" (did you mean "hailuo"?)')


@pytest.mark.parametrize(
    ("extra", "most"),
    [
        ("settings: {resolution: 4k}", 5 * 0.42),
        ("settings: {duration: 15}", 15 * 0.084),
        ("settings: {audio: native}", 5 * 0.126),
        ("settings: {resolution: null}", 5 * 0.42),
        ("options: {watermark_info: {enabled: true}}", 5 * 0.084),
    ],
)
def test_a_raw_field_makes_a_take_as_dear_as_it_is(providers: Providers, extra: str, most: float) -> None:
    """So that no more than the budget is spent, in whatever words it is requested."""
    fields = "duration: 5, resolution: 720p, generate_audio: false"
    (estimate,) = estimates(
        f"provider: kling\nmodel: kling-3.0\nextra: {{{extra}}}\nshots: [{{prompt: a, {fields}}}]\n", providers
    )
    assert estimate.high == pytest.approx(most)


def test_a_raw_field_may_name_another_model(providers: Providers) -> None:
    """Its own price counts, and it needs one."""
    board = "model: cheap\nextra: {model: clip}\nshots: [{prompt: a, duration: 5}]\n"
    assert estimates(board, providers) == [Estimate(low=0.5, high=0.5, currency="USD")]
    assert estimates(board.replace("clip", "unheard-of"), providers) == [None]


def test_an_unknown_raw_field_is_reported_and_no_budget_relies_on_it(providers: Providers) -> None:
    """Four clips for one would be four times the limit."""
    board = "model: cheap\nextra: {n: 4}\nshots: [{id: a, prompt: a, duration: 5}]\n"
    (estimate,) = estimates(board, providers)
    assert (estimate.high, estimate.unpriced) == (0.5, ("n",))

    assert refusal(f"{board}budget: {{money: 9}}", providers) == (
        "line 4, budget.money: what n adds to the price of cheap is not known (shot a), so the money cannot be kept "
        "to: leave it out, name it under free of that price in framerelay.yaml if it adds nothing, or give a budget "
        "of jobs"
    )
    assert estimates(f"{board}budget: {{money: 9}}".replace("n: 4", "input: {seed: 4}"), providers)


def test_a_field_that_adds_nothing_can_be_named(tmp_path: Path) -> None:
    """By a person who knows it, with the price."""
    lines = "providers: {jobs: {prices: {m: {per_clip: 1, currency: USD, free: [a.b]}}}}\n"
    (tmp_path / "framerelay.yaml").write_text(lines, encoding="utf-8")
    settings = replace(Settings(), config_file=tmp_path / "framerelay.yaml")
    board = "model: m\nextra: {a: {b: 1}}\nbudget: {money: 9}\nshots: [{prompt: a}]\n"
    assert estimates(board, read_providers(settings, {})) == [Estimate(low=1, high=1, currency="USD")]


def test_flex_is_reckoned_with_by_its_own_price(providers: Providers) -> None:
    """Half of that of the usual tier, where the provider says so."""
    board = """
provider: byteplus
model: seedance-1-5-pro-251215
defaults: {duration: 5, resolution: 720p, generate_audio: false}
shots: [{prompt: a}, {prompt: b, service_tier: flex}, {prompt: c, extra: {service_tier: flex}}]
"""
    usual, flex, raw = estimates(board, providers)
    assert flex == raw
    assert (flex.low, flex.high) == (pytest.approx(usual.low / 2), pytest.approx(usual.high / 2))
