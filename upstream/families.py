"""
Failure families: which of a provider's many error codes call for the same reaction.

Source: Ark's error-code page (2025-11-07) and codes seen at gateways. Codes grow suffixes (``.PolicyViolation``,
``.PrivacyInformation``, ``.Violence``), so moderation is recognized by substring and the rest by prefix.
"""

from framerelay.runs.model import Family

__all__ = ["Family", "family_of"]


def family_of(code: str | None, message: str | None = None, status: int | None = None) -> Family:
    """
    The family of a failure, from the provider's *code*, or else its *message*, or else the HTTP *status*.

    If the code is known, it alone decides: a 429 may mean ``quota``, a 400 ``text_moderated``.
    """
    by_code = _moderation(code) or _by_prefix(code)
    if by_code:
        return by_code
    by_status = _BY_STATUS.get(status or 0) or (Family.SERVER if _is_5xx(status) else None)
    return _moderation(message) or by_status or _by_words(message) or Family.UNKNOWN


def _moderation(text: str | None) -> Family | None:
    """Which side of the job was found sensitive; *text* is a code or a sentence such as "the output video may …"."""
    letters = (text or "").lower().replace(" ", "")
    if "privacyinformation" in letters and "output" not in letters:
        return Family.IMAGE_MODERATED
    if "nsfw" in letters:
        return Family.VIDEO_MODERATED
    if "sensitive" not in letters:
        return None
    for side, family in _SIDES:
        if side in letters:
            return family
    return Family.TEXT_MODERATED


# Input sound is given like an image: it is the same file on every try, so it is treated like an image.
_SIDES = (
    ("outputaudio", Family.AUDIO_MODERATED),
    ("output", Family.VIDEO_MODERATED),
    ("inputtext", Family.TEXT_MODERATED),
    ("inputimage", Family.IMAGE_MODERATED),
    ("inputvideo", Family.IMAGE_MODERATED),
    ("inputaudio", Family.IMAGE_MODERATED),
)


def _by_prefix(code: str | None) -> Family | None:
    key = (code or "").lower().replace("_", "")
    for family, patterns in _CODES:
        for pattern in patterns.split():
            if key.endswith(pattern[1:]) if pattern.startswith("*") else key.startswith(pattern):
                return family
    return None


def _by_words(message: str | None) -> Family | None:
    """For codes such as 4001, which say nothing, inside HTTP 200, which says just as little."""
    line = (message or "").lower()
    return next((family for family, words in _WORDS if any(word in line for word in words)), None)


_WORDS: tuple[tuple[Family, tuple[str, ...]], ...] = (
    (Family.RATE, ("rate limit", "too many requests", "too frequent", "concurrent", "concurrency", "system is busy")),
    (Family.RATE, ("server is busy", "system busy", "server busy", "overloaded", "过于频繁", "限流", "繁忙", "并发")),
    (Family.QUOTA, ("quota", "配额")),
    (Family.ACCOUNT, ("insufficient balance", "insufficient credit", "not enough credit", "insufficient fund")),
    (Family.ACCOUNT, ("invalid api key", "api key is invalid", "unauthorized", "arrears", "余额不足", "欠费")),
)


# Lower case, without underscores; the first match counts. A leading * matches the end of a code.
_CODES: tuple[tuple[Family, str], ...] = (
    (Family.QUOTA, "quotaexceeded setlimitexceeded insufficientquota *quotaexceeded"),
    (Family.RATE, "ratelimitexceeded *ratelimitexceeded serveroverloaded requestbursttoofast modelloadingerror"),
    (Family.RATE, "inflightbatchsizeexceeded toomanyrequests throttling"),
    (Family.ACCOUNT, "authenticationerror invalidapikey unauthorized accessdenied accountoverdue operationdenied"),
    (Family.ACCOUNT, "invalidendpoint modelnotopen insufficientbalance"),
    (Family.REQUEST_INVALID, "missingparameter invalidparameter invalidimage invalidvideo invalidrequest"),
    (Family.REQUEST_INVALID, "invalidargument *oversizedimage *unsupportedimageformat"),
    (Family.SERVER, "internal contentsecuritydetectionerror serviceunavailable servererror"),
    (Family.EXPIRED, "expired taskexpired timeout"),
    (Family.CANCELLED, "cancelled canceled"),
)

# A bare 404 or 405 means that the address is wrong, not the shot: every submit would get it.
_BY_STATUS: dict[int, Family] = {
    400: Family.REQUEST_INVALID,
    401: Family.ACCOUNT,
    402: Family.ACCOUNT,
    403: Family.ACCOUNT,
    404: Family.ACCOUNT,
    405: Family.ACCOUNT,
    408: Family.SERVER,
    413: Family.REQUEST_INVALID,
    415: Family.REQUEST_INVALID,
    422: Family.REQUEST_INVALID,
    429: Family.RATE,
}


def _is_5xx(status: int | None) -> bool:
    return status is not None and 500 <= status <= 599
