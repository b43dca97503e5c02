"""The manual's tables of providers and a page about each, written from the shipped profiles: `make docs`."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from docs.site.providers_zh import in_chinese
from framerelay.upstream.pictures import inline_bytes_max
from framerelay.upstream.profile import Cancel, Profile, Signature
from framerelay.upstream.profile_file import load_shipped, profile_names
from framerelay.upstream.profile_models import Durations, Model, Price
from framerelay.upstream.profile_words import Frames

BEGIN: Final = "<!-- begin of a table that make docs writes -->\n\n"
END: Final = "\n<!-- end of that table -->\n"
PAGES: Final[Mapping[str, str]] = {"README.md": "docs/providers/", "docs/real-key.md": "providers/"}
"""Where the short table stands, and how its links begin there."""
CHINESE_PAGES: Final[Mapping[str, str]] = {
    "README.zh-CN.md": "docs/providers/",
    "docs/zh-CN/real-key.md": "../providers/",
}

_FORMS: Final = {"url": "a link", "data_uri": "a data URI", "base64": "base64", "upload": "an upload"}
_KINDS: Final[Mapping[Frames, str]] = {
    "none": "text alone",
    "first": "a first frame",
    "both": "a first and a last frame",
    "last": "a last frame alone",
}
_SHORT_HEAD: Final = "| provider | completion | last frame | price known | tried by us |\n" + 5 * "|---" + "|\n"
_LONG_HEAD: Final = (
    "| provider | completion | last frame | price known | guessed, the rest is documented | tried by us |\n"
    "|---|---|---|---|---|---|\n"
)


def short_table(links: str) -> str:
    """All shipped profiles; *links*: how the address of a page of one begins."""
    return _SHORT_HEAD + "".join(_row(name, links, with_guesses=False) for name in profile_names())


def long_table() -> str:
    """The same for docs/providers.md, with what nobody documents."""
    return _LONG_HEAD + "".join(_row(name, "providers/", with_guesses=True) for name in profile_names())


def secrets_table() -> str:
    """Who signs callbacks, how, and in which variable the secret is looked for."""
    head = "| provider | scheme | the usual variable of its secret |\n|---|---|---|\n"
    signatures = {name: load_shipped(name).callback.signature for name in profile_names()}
    rows = (_secret_row(name, one) for name, one in signatures.items() if one != "none")
    return head + "".join(rows)


def provider_page(name: str) -> str:
    """The page about the shipped profile *name*."""
    profile = load_shipped(name)
    lines = "".join(f"| {label} | {words} |\n" for label, words in _facts(profile))
    return _PAGE.format(
        title=profile.title,
        name=name,
        checked=profile.checked or "an unknown day",
        source=profile.source or "none that was written down",
        use=_use(profile),
        facts=lines,
        models=_models(profile),
        guessed=_guessed(profile),
    )


_PAGE: Final = """# {title}: `{name}`

What FrameRelay knows of it as of {checked}. **We have not tried it with a real key.** What was read: {source}.

This page is written by `make docs` from [the profile](../../upstream/profiles/{name}.yaml). A fact is wrong, or old?
[Tell us](../profiles.md#send-it-to-us), or [use a profile of your own](../profiles.md). How to choose a provider, and
use several at once: [providers](../providers.md).

```text
{use}```

| | |
|---|---|
{facts}
## Models

{models}
## Guessed

{guessed}"""


# --- rows of the tables ------------------------------------------------------------------------------------------


def _row(name: str, links: str, *, with_guesses: bool) -> str:
    profile = load_shipped(name)
    guesses = f" {_first_words(profile.guessed)} |" if with_guesses else ""
    cells = f"{_completion(profile)} | {_last_frame(profile)} | {_priced(profile)} |"
    return f"| [{profile.title}]({links}{name}.md): `{name}` | {cells}{guesses} no |\n"


def _secret_row(name: str, signature: Signature | str) -> str:
    if not isinstance(signature, Signature):
        return ""
    secret = f"`{signature.secret_env}`" if signature.secret_env else "none: it is checked by public keys"
    return f"| [`{name}`](providers/{name}.md) | `{signature.scheme}` | {secret} |\n"


def _completion(profile: Profile) -> str:
    callback = profile.callback
    if callback.on not in ("create", "query"):
        return "polling"
    if callback.signature == "none":
        return "callback"
    needs_secret = callback.signature.secret_env not in (None, *profile.key_env)
    return "callback, signed once you set the secret" if needs_secret else "signed callback"


def _last_frame(profile: Profile) -> str:
    gives_one = profile.read is None or profile.read.last_frame is not None
    return "its own or ours" if gives_one else "ours"


def _priced(profile: Profile) -> str:
    known = sum(model.price is not None for model in profile.models.values())
    if not known:
        return "no"
    return "yes" if known == len(profile.models) else f"of {known} of {len(profile.models)} models"


def _first_words(places: list[str]) -> str:
    """The sections in which something is guessed."""
    return ", ".join(f"`{word}`" for word in dict.fromkeys(place.partition(".")[0] for place in places)) or "nothing"


# --- a page ------------------------------------------------------------------------------------------------------


def _use(profile: Profile) -> str:
    address = "FRAMERELAY_UPSTREAM_URL=https://…\n" if profile.own_address else ""
    variable = profile.key_env[0] if profile.key_env else "FRAMERELAY_UPSTREAM_KEY"
    return f"# .env\n{variable}=…\nFRAMERELAY_PROVIDER={profile.id}\n{address}"


def _facts(profile: Profile) -> Iterator[tuple[str, str]]:
    yield "address", _address(profile)
    yield "key", _key(profile)
    yield "how a finished job is noticed", _completion_at_length(profile)
    yield "pictures", _pictures(profile)
    if profile.create.by:
        yield "makes clips from", _kinds(profile)
    yield "last frame", _last_frame_at_length(profile)
    yield "a submit whose answer is lost", _recovery(profile)
    yield "clips", _clips(profile)
    yield "limits", _limits(profile)
    if profile.cancel != "none":
        yield "a job that you cancel there yourself", _cancel(profile.cancel)
    if profile.read and profile.read.cost_unit:
        yield "what a job took", f"said by the provider, in {profile.read.cost_unit}"


def _address(profile: Profile) -> str:
    if profile.own_address:
        return "your gateway's: `FRAMERELAY_UPSTREAM_URL`, or `url` in `framerelay.yaml`"
    others = [f"`{host}`" for host in profile.hosts if host not in profile.base]
    return f"`{profile.base}`" + (f"; the key also goes to {', '.join(others)}" if others else "")


def _key(profile: Profile) -> str:
    variables = " or ".join(f"`{name}`" for name in profile.key_env)
    if profile.auth.hook is not None:
        return f"{variables}, as `ACCESS_KEY:SECRET_KEY`, of which a token is made (`{profile.auth.hook}`)"
    return f"{variables}, sent as `{profile.auth.header}: {profile.auth.value.replace('{key}', '…')}`"


def _completion_at_length(profile: Profile) -> str:
    callback, poll = profile.callback, profile.poll
    asked = (
        f"it is asked after {poll.first_s:g} s, then every {poll.every_s:g} s, and more rarely as the job gets older"
    )
    if callback.on == "account":
        return f"by polling: its webhooks go to one address for the whole account; {asked}"
    if callback.on == "none":
        return f"by polling: it has no callbacks; {asked}"
    return f"by a callback to an address of just that take, {_signed(callback.signature, profile)}{_manners(profile)}"


def _signed(signature: Signature | str, profile: Profile) -> str:
    if not isinstance(signature, Signature):
        return "not signed"
    if signature.secret_env is None:
        return f"signed (`{signature.scheme}`, by public keys)"
    if signature.secret_env in profile.key_env:
        return f"signed (`{signature.scheme}`) with your key"
    return f"signed (`{signature.scheme}`) once `{signature.secret_env}` holds the secret; until then not verified"


def _manners(profile: Profile) -> str:
    callback = profile.callback
    challenge = "; a challenge comes before, and is answered" if callback.challenge else ""
    repeats = callback.repeats
    tries = f"; sent up to {repeats.tries} times" if repeats and repeats.tries else ""
    return challenge + tries


def _pictures(profile: Profile) -> str:
    forms = ", ".join(_FORMS[form] for form in profile.media.accepts)
    image, inline = profile.media.image, inline_bytes_max(profile)
    size = f"; at most {image.max_mb:g} MB" if image and image.max_mb else ""
    inside = f"; at most {image.max_mb_inline:g} MB in a request" if inline and image and image.max_mb_inline else ""
    return f"as {forms}{size}{inside}"


def _kinds(profile: Profile) -> str:
    made = [words for frames, words in _KINDS.items() if frames in profile.create.by]
    missing = [words for frames, words in _KINDS.items() if frames not in profile.create.by]
    return f"{', '.join(made)}" + (f"; not from {', '.join(missing)}" if missing else "")


def _cancel(cancel: Cancel) -> str:
    method, path = next((name, path) for name in ("delete", "put", "post") if (path := getattr(cancel, name)))
    states = f", while it is {' or '.join(cancel.only)}" if cancel.only else ""
    return f"`{method.upper()} {path}`{states}; FrameRelay sends this for none"


def _last_frame_at_length(profile: Profile) -> str:
    if profile.read is None or profile.read.last_frame is not None:
        return "its own where the shot asks for one (`return_last_frame: true`) and the model has it; else taken by us"
    return "taken by us from the clip"


def _recovery(profile: Profile) -> str:
    reference = profile.recover.reference
    if reference == "none":
        may_call = profile.callback.on in ("create", "query")
        return f"it is held; {'its callback may still name the job, else ' if may_call else ''}you are asked"
    twice = {"refused": "a second create with it is refused", "same_job": "a second create with it gives the same job"}
    beside = f"; {twice[reference.twice]}" if reference.twice in twice else ""
    found = "by which the job is looked for" if reference.get else "but the job cannot be looked for by it: it is held"
    return f"our reference is sent as `{reference.sent_as}`, {found}{beside}"


def _clips(profile: Profile) -> str:
    lives_s = profile.download.lives_s
    life = f"deleted after {_span(lives_s)}" if lives_s else "kept for a time that we do not know"
    return f"{life}; fetched {'with' if profile.download.auth else 'without'} the key"


def _span(seconds: int) -> str:
    hours = seconds / 3600
    return f"{hours / 24:g} days" if hours >= 48 else f"{hours:g} hours" if hours > 1 else "an hour"


def _limits(profile: Profile) -> str:
    limits = profile.limits
    known = [
        f"{limits.concurrent} jobs at once" if limits.concurrent else "",
        f"{limits.submits_per_minute:g} submits a minute" if limits.submits_per_minute else "",
    ]
    over = {"queued": "what is more waits at the provider", "refused": "what is more is refused, and waits here"}
    said = [*filter(None, known), *([over[limits.over]] if limits.over else [])]
    return "; ".join(said) or "not known: learned from refusals"


def _models(profile: Profile) -> str:
    if not profile.models:
        return "None is listed: write the name that the provider uses.\n"
    head = "| model | frames | seconds | sizes | sound | price |\n|---|---|---|---|---|---|\n"
    note = "\nA model that is not listed works, too: write its name. An empty cell: not known.\n"
    return head + "".join(_model_row(name, model) for name, model in profile.models.items()) + note


def _model_row(name: str, model: Model) -> str:
    frames = "" if model.frames is None else ", ".join(model.frames) or "none"
    audio = {"choice": "as you ask", "always": "always", "none": "none", None: ""}[model.audio]
    cells = (frames, _seconds(model), ", ".join(model.resolutions or ()), audio, _price(model.price))
    return f"| `{name}` | {' | '.join(cells)} |\n"


def _seconds(model: Model) -> str:
    lengths = model.durations
    if lengths is None:
        return ""
    if isinstance(lengths, Durations):
        chooses = f"; {lengths.auto}: it chooses" if lengths.auto is not None else ""
        return f"{lengths.min:g} to {lengths.max:g}{chooses}"
    return ", ".join(f"{length:g}" for length in lengths)


def _price(price: Price | None) -> str:
    if price is None:
        return ""
    tables = ((price.per_s, "a second"), (price.per_clip, "a clip"), (price.per_mtok, "a million tokens"))
    words = " · ".join(f"{_amounts(table)} {price.currency} {unit}" for table, unit in tables if table is not None)
    return words + "".join(f"; {tier}: × {times:g}" for tier, times in price.tiers.items())


def _amounts(table: float | Mapping[str, float | list[float]]) -> str:
    if not isinstance(table, Mapping):
        return f"{table:g}"
    return ", ".join(f"{size} {_with_sound(amount)}" for size, amount in table.items())


def _with_sound(amount: float | list[float]) -> str:
    if not isinstance(amount, list):
        return f"{amount:g}"
    return f"{amount[0]:g}" + (f" ({amount[-1]:g} with sound)" if amount[-1] != amount[0] else "")


def _guessed(profile: Profile) -> str:
    if not profile.guessed:
        return "Nothing: all of it is written in what was read.\n"
    places = "".join(f"- `{place}`\n" for place in profile.guessed)
    return f"Places of the profile that nobody documents, taken from code of others or from what is usual:\n\n{places}"


# --- files -------------------------------------------------------------------------------------------------------


def with_table(text: str, *tables: str) -> str:
    """*text* with *tables* in the places that are marked for them, in order. Raises: ValueError if there are others."""
    first, *parts = text.split(BEGIN)
    rest = (f"{BEGIN}{table}{END}{part.partition(END)[2]}" for table, part in zip(tables, parts, strict=True))
    return first + "".join(rest)


def pages(root: Path) -> Iterator[tuple[Path, str]]:
    """Every file below *root* that holds something of the profiles, as it has to be."""
    for name, links in PAGES.items():
        yield root / name, with_table((root / name).read_text(encoding="utf-8"), short_table(links))
    for name, links in CHINESE_PAGES.items():
        yield root / name, with_table((root / name).read_text(encoding="utf-8"), in_chinese(short_table(""), links))
    page = root / "docs" / "providers.md"
    yield page, with_table(page.read_text(encoding="utf-8"), long_table(), secrets_table())
    page = root / "docs" / "zh-CN" / "providers.md"
    tables = (in_chinese(table, "../providers/") for table in (long_table(), secrets_table()))
    yield page, with_table(page.read_text(encoding="utf-8"), *tables)
    for name in profile_names():
        yield root / "docs" / "providers" / f"{name}.md", provider_page(name)


if __name__ == "__main__":
    for path, text in pages(Path()):
        path.write_text(text, encoding="utf-8")
