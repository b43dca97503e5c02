"""Money and times stand as a reader of Chinese writes them; who reads English loads nothing for it."""

import subprocess
import sys

import pytest

from framerelay.languages.catalogs import translate
from framerelay.languages.measures import currency_name, moment
from framerelay.languages.reader import CHINESE
from framerelay.runs.text import amount_words, range_words

ASKED = """
import sys
from framerelay.languages.catalogs import translate
import framerelay.receiver.page.rendering as rendering
import framerelay.api.words
translate("about 1.50 USD"), rendering._moment(0, "date"), rendering._currency("USD")
print([name for name in sys.modules if name.partition(".")[0] == "babel"])
"""


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        (amount_words(1.5, "USD"), "US$1.50"),
        (amount_words(8, "CNY"), "¥8.00"),
        (amount_words(0.0123, "USD"), "US$0.0123"),
        (amount_words(12345.6, "CNY"), "¥12,345.60"),
        (range_words(1.5, 1.5, "CNY"), "约 ¥1.50"),
        (range_words(0.84, 1.26, "USD"), "US$0.84 到 US$1.26"),
        ("2.10 of 12.00 CNY", "¥2.10/¥12.00"),
        (
            "0.50 CNY of the budget of 8.00 CNY are left, and a take may cost 0.9012 CNY",
            "¥8.00 的预算还剩 ¥0.50，而一次生成可能要花 ¥0.9012",
        ),
    ],
)
def test_money_is_written_with_its_sign(english: str, chinese: str) -> None:
    assert translate(english, CHINESE) == chinese


@pytest.mark.parametrize("text", ["12.00 credits", "3 ABC", "16.9 HTT", "the provider says: 1.50 USD"])
def test_what_is_no_money_of_the_world_stays(text: str) -> None:
    assert text.removeprefix("the provider says: ") in translate(text, CHINESE)


def test_a_currency_has_its_name() -> None:
    assert [currency_name(each, CHINESE) for each in ("USD", "CNY", "credits")] == ["美元", "人民币", "credits"]


def test_a_moment_begins_with_its_day() -> None:
    at = 1_796_005_193.0  # 2026-11-30 02:19:53 UTC
    assert moment(at, "date", CHINESE) == "2026年11月30日 02:19"
    assert moment(at, "day", CHINESE) == "11月30日 02:19:53"
    assert moment(at, "clock", CHINESE) == "02:19:53"


def test_english_readers_load_no_babel() -> None:
    output = subprocess.run([sys.executable, "-c", ASKED], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "[]"
