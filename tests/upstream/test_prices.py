"""What a clip costs by the prices of a profile, worked out by hand; an unknown price is None, never 0."""

from decimal import Decimal
from typing import Any

import pytest

from framerelay.runs.costs import Cost, Estimate
from framerelay.upstream.clip_terms import ClipTerms
from framerelay.upstream.job import JobReport
from framerelay.upstream.prices import TOKENS, cost, estimate, unpaid
from framerelay.upstream.profile import Profile, Read
from framerelay.upstream.profile_file import load_shipped
from framerelay.upstream.profile_models import Durations, Model, Price
from framerelay.upstream.wire import JobState

FIVE_OR_TEN = Model(durations=[5, 10])
FOUR_TO_FIFTEEN = Model(durations=Durations(min=4, max=15, auto="auto"))


def asked(fields: dict[str, Any], **more: Any) -> ClipTerms:
    """What a request says."""
    return ClipTerms(model="m", fields=fields, **more)


def usd(**how: Any) -> Price:
    return Price(currency="USD", **how)


def between(low: str, high: str, currency: str = "USD") -> Estimate:
    """By decimal arithmetic; a fraction of ours may differ in its last digit."""
    return Estimate(low=pytest.approx(float(Decimal(low))), high=pytest.approx(float(Decimal(high))), currency=currency)


@pytest.mark.parametrize(
    ("price", "model", "fields", "expected"),
    [
        (usd(per_clip=0.4), None, {}, ("0.4", "0.4")),
        (usd(per_s=0.1), None, {"duration": 5}, ("0.5", "0.5")),
        (usd(per_s=0.1), None, {"duration": "5"}, ("0.5", "0.5")),
        (usd(per_s=0.1), FIVE_OR_TEN, {}, ("0.5", "1.0")),
        (usd(per_s=0.1), FIVE_OR_TEN, {"duration": 10}, ("1.0", "1.0")),
        (usd(per_s=0.1), FOUR_TO_FIFTEEN, {"duration": -1}, ("0.4", "1.5")),
        (usd(per_s={"720p": 0.3034, "1080p": 0.682}), None, {"duration": 5, "resolution": "720p"}, ("1.517", "1.517")),
        (usd(per_s={"720p": 0.3034, "1080p": 0.682}), None, {"duration": 5, "resolution": "1080P"}, ("3.41", "3.41")),
        (usd(per_s={"720p": 0.3034, "1080p": 0.682}), None, {"duration": 5}, ("1.517", "3.41")),
        (usd(per_clip={"720p": [0.2, 0.5]}), None, {"generate_audio": True}, ("0.5", "0.5")),
        (usd(per_clip={"720p": [0.2, 0.5]}), None, {"generate_audio": False}, ("0.2", "0.2")),
        (usd(per_clip={"720p": [0.2, 0.5]}), None, {}, ("0.2", "0.5")),
        (usd(per_clip={"720p": [0.2], "4k": 0.9}), None, {"generate_audio": True}, ("0.2", "0.9")),
    ],
)
def test_what_the_storyboard_leaves_open_makes_a_range(
    price: Price, model: Model | None, fields: dict[str, Any], expected: tuple[str, str]
) -> None:
    """Length, resolution and sound: from the least to the most that may be asked for."""
    assert estimate(price, model, asked(fields)) == between(*expected)


@pytest.mark.parametrize(
    ("price", "model", "fields"),
    [
        (None, FIVE_OR_TEN, {"duration": 5}),
        (usd(), FIVE_OR_TEN, {"duration": 5}),
        (usd(per_s=0.1), None, {}),
        (usd(per_s=0.1), Model(), {}),
        (usd(per_s=0.1), None, {"duration": 0}),
        (usd(per_s={"720p": 0.3}), None, {"duration": 5, "resolution": "4k"}),
        (usd(per_clip={}), None, {}),
        (usd(per_mtok=70.0), None, {"duration": 5, "resolution": "720p"}),
        (usd(per_mtok=70.0, tokens="w*h"), None, {"duration": 5, "resolution": "720p"}),
        (usd(per_mtok=70.0, tokens=TOKENS), None, {"duration": 5}),
        (usd(per_mtok=70.0, tokens=TOKENS), None, {"duration": 5, "resolution": "square"}),
        (usd(per_mtok=70.0, tokens=TOKENS), None, {"resolution": "720p"}),
    ],
)
def test_an_unknown_price_is_none(price: Price | None, model: Model | None, fields: dict[str, Any]) -> None:
    """A price of zero would let a budget pass."""
    assert estimate(price, model, asked(fields)) is None


def most(amount: Decimal, seconds: int) -> Decimal:
    """What a clip of *seconds* may come to: it has one frame more, and 5 % more pixels."""
    return amount * Decimal("1.05") * (24 * seconds + 1) / (24 * seconds)


def test_the_tokens_that_ark_was_seen_to_bill_are_within_the_estimate() -> None:
    """6 s of 1080p in 9:16 were 295,800: 145 frames of 1088 by 1920, where the formula says 291,600."""
    price = usd(per_mtok=1_000_000, tokens=TOKENS)
    price_range = estimate(price, None, asked({"duration": 6, "resolution": "1080p"}))
    assert price_range is not None
    assert price_range.low == pytest.approx(291_600)
    assert price_range.low < 295_800 < price_range.high


def test_tokens_are_counted_as_ark_does() -> None:
    """1280 x 720 pixels, 24 frames a second, 5 s, over 1024: 108,000 tokens, at 70 a million 7.56."""
    price = Price(currency="CNY", per_mtok=70, tokens=TOKENS)
    by_hand = Decimal(1280 * 720 * 24 * 5) / 1024 / 1_000_000 * 70

    assert by_hand == Decimal("7.56")
    once = estimate(price, None, asked({"duration": 5, "resolution": "720p"}))
    assert once == between("7.56", str(most(by_hand, 5)), "CNY")
    twice = estimate(price, FIVE_OR_TEN, asked({"resolution": "720p"}))
    assert twice == between("7.56", str(most(by_hand * 2, 10)), "CNY")


def test_tokens_of_each_resolution_have_their_own_price_and_number() -> None:
    """With sound twice as much; from the small clip without to the large one with it, where nobody says which."""
    price = Price(currency="CNY", per_mtok={"720p": [8, 16], "1080p": [7, 14]}, tokens=TOKENS)
    small, large = (
        Decimal(width * height * 24 * 5) / 1024 / 1_000_000 for width, height in ((1280, 720), (1920, 1080))
    )

    assert estimate(price, None, asked({"duration": 5})) == between(str(small * 8), str(most(large * 14, 5)), "CNY")
    quiet = {"duration": 5, "generate_audio": False, "resolution": "1080p"}
    assert estimate(price, None, asked(quiet)) == between(str(large * 7), str(most(large * 7, 5)), "CNY")


@pytest.mark.parametrize(("name", "pixels"), [("720p", 1280 * 720), ("2K", 2560 * 1440), ("4k", 3840 * 2160)])
def test_a_size_is_known_by_its_name(name: str, pixels: int) -> None:
    """Whatever its ratio, it has about the same area."""
    price = usd(per_mtok=1_000_000, tokens=TOKENS)
    tokens = Decimal(pixels * 24 * 2) / 1024
    assert estimate(price, None, asked({"duration": 2, "resolution": name})) == between(
        str(tokens), str(most(tokens, 2))
    )


def test_another_tier_has_its_own_price() -> None:
    """Half of it, before and after; of a tier of another name nobody knows if it is not a dearer one."""
    price = usd(per_clip=2.0, tiers={"flex": 0.5})
    assert estimate(price, None, asked({"service_tier": "flex"})) == between("1.0", "1.0")
    assert estimate(price, None, asked({"service_tier": "default"})) == between("2.0", "2.0")
    assert estimate(usd(per_clip=2.0), None, asked({"service_tier": "flex"})) == between("2.0", "2.0")
    dearer = estimate(price, None, asked({"service_tier": "priority"}))
    assert dearer is not None
    assert dearer.unpriced == ("service_tier",)

    tokens = usd(per_mtok=2.0, tokens=TOKENS, tiers={"flex": 0.5})
    flex = asked({"service_tier": "flex"})
    assert cost(counted_in("tokens"), tokens, report_of(1_000_000), flex) == Cost(
        amount=1.0, currency="USD", estimated=False
    )
    assert cost(counted_in("tokens"), tokens, report_of(1_000_000)) == Cost(amount=2.0, currency="USD", estimated=False)


def test_tokens_are_paid_by_what_was_asked_for() -> None:
    """Without sound they are cheaper; where nobody knows any more what was asked for, the dearest counts."""
    by_sound = usd(per_mtok={"720p": [1.2, 2.4]}, tokens=TOKENS)
    quiet = asked({"generate_audio": False, "resolution": "720p"})
    assert cost(counted_in("tokens"), by_sound, report_of(1_000_000), quiet) == Cost(
        amount=pytest.approx(1.2), currency="USD", estimated=False
    )
    assert cost(counted_in("tokens"), by_sound, report_of(1_000_000)) == Cost(amount=pytest.approx(2.4), currency="USD")


@pytest.mark.parametrize(
    ("price", "fields", "more", "names"),
    [
        (usd(per_clip=1), {}, {"unpriced": ("n",)}, ("n",)),
        (usd(per_clip=1, free=["n"]), {}, {"unpriced": ("n", "mode")}, ("mode",)),
        (usd(per_s=1), {"duration": "long"}, {}, ("duration",)),
        (usd(per_s=1), {"duration": "auto"}, {}, ()),
        (usd(per_s=1), {"frames": 81}, {}, ("frames",)),
        (usd(per_s=1), {"duration": 5, "reference_video_urls": ["https://x/y.mp4"]}, {}, ("reference_videos",)),
        (usd(per_clip=1), {"reference_video_urls": ["https://x/y.mp4"]}, {}, ()),
    ],
)
def test_what_may_make_it_dearer_is_named(
    price: Price, fields: dict[str, Any], more: dict[str, Any], names: tuple[str, ...]
) -> None:
    """Raw fields that nobody knows; seconds of videos that are given; lengths that cannot be read."""
    price_range = estimate(price, FOUR_TO_FIFTEEN, asked(fields, **more))
    assert price_range is not None
    assert price_range.unpriced == names


def test_frames_say_the_length_of_a_clip_that_is_paid_by_tokens() -> None:
    """289 of them are 12 s, whatever else is given."""
    price = usd(per_mtok=1_000_000, tokens=TOKENS)
    price_range = estimate(price, None, asked({"duration": 5, "frames": 289, "resolution": "720p"}))
    assert price_range is not None
    assert price_range.low == pytest.approx(1280 * 720 * 24 * 5 / 1024)
    assert price_range.high >= 1280 * 720 * 289 / 1024


# --- what the provider says --------------------------------------------------------------------------------------


def counted_in(unit: str | None) -> Profile:
    """A profile whose answers name a cost in that unit."""
    return Profile(
        profile=1,
        id="p",
        title="p",
        base="https://p",
        create=load_shipped("ark").create,
        get=load_shipped("ark").get,
        read=Read(cost_unit=unit),
    )


def report_of(number: float | None, **more: Any) -> JobReport:
    return JobReport(job_ids=("j",), state=JobState.SUCCEEDED, status_word="done", cost=number, **more)


def test_money_is_taken_at_the_providers_word() -> None:
    """It is no estimate any more; one of another currency than the price settles nothing."""
    assert cost(counted_in("USD"), usd(per_s=0.1), report_of(0.52)) == Cost(
        amount=0.52, currency="USD", estimated=False
    )
    assert cost(counted_in("USD"), None, report_of(0.52)) == Cost(amount=0.52, currency="USD", estimated=False)
    assert cost(counted_in("USD"), Price(currency="CNY", per_s=0.1), report_of(0.52)) is None
    assert cost(counted_in("credits"), Price(currency="credits", per_clip=60), report_of(55)) == Cost(
        amount=55, currency="credits", estimated=False
    )


def test_what_the_provider_does_not_say_settles_nothing() -> None:
    """Nothing said is not zero; zero said is."""
    assert cost(counted_in("USD"), usd(per_s=0.1), report_of(None)) is None
    assert cost(counted_in(None), usd(per_s=0.1), report_of(3.0)) is None
    assert cost(load_shipped("jobs"), usd(per_s=0.1), report_of(3.0)) is None
    assert cost(counted_in("USD"), usd(per_s=0.1), report_of(0.0)) == Cost(amount=0, currency="USD", estimated=False)


def test_tokens_become_money_by_their_price() -> None:
    """108,900 at 70 a million: 7.623. Where the price hangs on what nobody said, the highest, marked as an estimate."""
    flat = Price(currency="CNY", per_mtok=70, tokens=TOKENS)
    by_sound = Price(currency="CNY", per_mtok={"720p": [8, 16], "1080p": [7, 14]})
    tokens = counted_in("tokens")

    assert cost(tokens, flat, report_of(108_900)) == Cost(
        amount=pytest.approx(float(Decimal(108_900) * 70 / 1_000_000)), currency="CNY", estimated=False
    )
    assert cost(tokens, by_sound, report_of(1_000_000, resolution="1080p")) == Cost(amount=14, currency="CNY")
    assert cost(tokens, by_sound, report_of(1_000_000)) == Cost(amount=16, currency="CNY")
    assert cost(tokens, by_sound, report_of(1_000_000, resolution="4k")) is None


def test_tokens_without_a_price_are_no_money() -> None:
    """Nobody pays in tokens: they are in the usage of the take."""
    assert cost(counted_in("tokens"), None, report_of(108_900)) is None
    assert cost(counted_in("tokens"), usd(per_s=0.1), report_of(108_900)) is None


@pytest.mark.parametrize("amount", [-1.0, -1e300])
def test_a_cost_below_nothing_settles_nothing(amount: float) -> None:
    """It would make room in a budget of money for takes that cost some."""
    assert cost(counted_in("USD"), usd(per_clip=1.0), report_of(amount)) is None


@pytest.mark.parametrize(
    "price", [usd(per_clip=-1.0), usd(per_s=-0.1), usd(per_s={"720p": [-0.1, 0.2]}), usd(per_s=1e308)]
)
def test_a_price_below_nothing_or_beyond_all_numbers_is_not_known(price: Price) -> None:
    """So that no budget of money relies on it."""
    assert estimate(price, None, asked({"duration": 100})) is None


@pytest.mark.parametrize(
    ("name", "state", "cost", "is_estimated"),
    [
        ("ark", JobState.FAILED, None, True),
        ("byteplus", JobState.EXPIRED, None, True),
        ("replicate", JobState.EXPIRED, None, True),
        ("replicate", JobState.CANCELLED, None, None),
        ("fal", JobState.FAILED, None, None),
        ("runway", JobState.FAILED, 0.0, False),
        ("runway", JobState.FAILED, 25.0, None),
    ],
)
def test_a_job_without_a_clip_costs_nothing_where_that_is_known(
    name: str, state: JobState, cost: float | None, is_estimated: bool | None
) -> None:
    """By its profile, or in its own words whatever they count in; elsewhere what was put aside for it stays spent."""
    report = JobReport(job_ids=("7",), state=state, status_word="x", cost=cost)
    expected = None if is_estimated is None else Cost(amount=0.0, currency="USD", estimated=is_estimated)

    assert unpaid(load_shipped(name), report, currency="USD") == expected
