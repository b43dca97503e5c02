"""The language in which a request is answered: as the client asks, or as the settings say."""

from http.cookies import CookieError, SimpleCookie
from typing import Any, Final

from starlette.types import ASGIApp, Receive, Scope, Send

from framerelay.languages.catalogs import translate
from framerelay.languages.reader import COOKIE, ENGLISH, language, language_of_tag, of_header, read_in

SENTENCES: Final = frozenset({"message", "would", "warnings"})
"""Fields whose texts are for people; all others are for programs, and the same in each language."""
OF_OTHERS: Final = frozenset({"labels", "usage", "body", "prompt", "input"})
"""Fields with what others wrote, under names that others chose."""


class ReaderLanguage:
    """
    Has each request answered in the language of its reader.

    For programs, ``Accept-Language`` decides, otherwise *setting* (``FRAMERELAY_LANG``). On the page, the choice made
    there comes first, then *setting*, then the browser's language. Answers to callbacks go to programs, and are not
    changed.
    """

    def __init__(self, app: ASGIApp, *, setting: str | None) -> None:
        self._app, self._setting = app, setting

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; it is a separate task, so nothing has to be reset."""
        if scope["type"] == "http" and not scope["path"].startswith("/webhook/"):
            read_in(language_of(scope, self._setting))
        await self._app(scope, receive, send)


def language_of(scope: Scope, setting: str | None) -> str:
    """In which language the request of *scope* is answered, if the settings say *setting*."""
    headers = {name: value.decode("latin-1") for name, value in scope["headers"] if name in _READ}
    header_choice = of_header(headers.get(b"accept-language"))
    if scope["path"].startswith("/v1/"):
        return header_choice or setting or ENGLISH
    return _choice(headers.get(b"cookie", "")) or setting or header_choice or ENGLISH


_READ: Final = frozenset({b"accept-language", b"cookie"})


def _choice(cookies: str) -> str | None:
    if COOKIE not in cookies:
        return None
    try:
        morsel = SimpleCookie(cookies).get(COOKIE)
    except CookieError:
        return None
    return language_of_tag(morsel.value) if morsel else None


def in_language(answer: Any, field: str = "") -> Any:
    """*answer*, made of JSON values, with its sentences in the reader's language."""
    if language() == ENGLISH:
        return answer
    match answer:
        case dict():
            return {key: value if key in OF_OTHERS else in_language(value, key) for key, value in answer.items()}
        case list():
            return [in_language(each, field) for each in answer]
        case str() if field in SENTENCES:
            return translate(answer)
        case _:
            return answer
