"""
Money and times as the readers of another language write them, by Babel and the CLDR.

Readers of English never need this module: Babel is loaded by the first measure in another language.
"""

import re
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from framerelay.languages.reader import CHINESE

if TYPE_CHECKING:
    from babel import Locale

LOCALES: Final = {CHINESE: "zh_Hans_CN"}
# Skeletons of the CLDR: a day, a clock.
FORMS: Final = {"clock": ("Hms",), "date": ("yMMMd", "Hm"), "day": ("MMMd", "Hms"), "exact": ("yMMMd", "Hms")}
_MONEY: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?) ([A-Z]{3})")
_TWO: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?) (to|of) ([0-9]+(?:\.[0-9]+)? ([A-Z]{3}))")


def money(text: str, code: str) -> str | None:
    """``1.50 USD`` in the language *code*: ``US$1.50``; None if it is not money of a known currency."""
    match = _MONEY.fullmatch(text)
    if match is None or (currency := _known_currency(match[2], code)) is None:
        return None
    from babel.numbers import format_currency

    # As many digits as were given: fractions of a cent must not be lost.
    words: str = format_currency(
        Decimal(match[1]), currency, locale=_locale(code), currency_digits=False, decimal_quantization=False
    )
    return words


def both_with_currency(text: str) -> str:
    """``0.84 to 1.26 USD`` as ``0.84 USD to 1.26 USD``, for languages that put the currency first."""
    match = _TWO.fullmatch(text)
    return f"{match[1]} {match[4]} {match[2]} {match[3]}" if match else text


def currency_name(currency: str, code: str) -> str:
    """``USD`` in the language *code*: 美元; unchanged if it is a provider's own unit."""
    if (name := _known_currency(currency, code)) is None:
        return currency
    return str(_locale(code).currencies[name])


def moment(seconds: float, form: str, code: str) -> str:
    """A time in seconds since 1970, in UTC, in the language *code*: ``2026年11月30日 02:19``; *form*: of `FORMS`."""
    from datetime import UTC, datetime

    from babel.dates import format_skeleton

    at = datetime.fromtimestamp(seconds, UTC)
    return " ".join(format_skeleton(each, at, locale=_locale(code)) for each in FORMS[form])


def _known_currency(currency: str, code: str) -> str | None:
    return currency if currency in _locale(code).currencies else None


@cache
def _locale(code: str) -> "Locale | Any":
    from babel import Locale

    return Locale.parse(LOCALES[code])
