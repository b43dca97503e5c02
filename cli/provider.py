"""`providers` and `provider …`: which there are, what a profile says, what it reads and sends. It spends nothing."""

import sys
from pathlib import Path
from typing import Any, Final, cast

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from framerelay.cli.boards import read_board
from framerelay.cli.errors import CommandError
from framerelay.cli.output import echo, echo_json
from framerelay.cli.settings import settings_of_command
from framerelay.cli.settings_file import providers_of
from framerelay.config.settings import Settings, environment
from framerelay.languages.catalogs import joint, translate
from framerelay.languages.columns import ljust
from framerelay.languages.joints import join
from framerelay.languages.reader import ENGLISH, language
from framerelay.runs.errors import Mistake, NotFound, StoryboardInvalid
from framerelay.runs.model import Shot
from framerelay.runs.text import number_of, printable
from framerelay.storyboards.documents import Spot, line_at, read_document
from framerelay.storyboards.storyboard import Storyboard
from framerelay.upstream.preview import preview
from framerelay.upstream.profile import Profile
from framerelay.upstream.profile_file import load_profile, profile_names
from framerelay.upstream.providers import HandOff, Provider, provider_of_profile
from framerelay.upstream.summary import is_old, summary_of
from framerelay.upstream.understanding import AnswerKind, Understanding, differences, understand

WIDE: Final = 200  # Columns that nothing here fills: an output that is not a terminal gets lines that are not cut.


def list_providers(*, as_json: bool) -> int:
    """All that can be named, those of the settings first."""
    providers = providers_of(settings_of_command())
    names = dict.fromkeys((providers.default, *providers.entries, *profile_names()))
    rows = [summary_of(providers.of(name), is_default=name == providers.default) for name in names]
    if as_json:
        _print({"object": "list", "data": rows})
        return 0
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("provider", "key", "completion", "hand-off", "last frame", "facts of"):
        is_short = column in ("provider", "last frame", "facts of")  # Cut, they name nothing.
        table.add_column(_label(column), no_wrap=is_short, overflow="fold")
    for row in rows:
        name = join(f"{row['name']} ", translate("(default)")) if row["default"] else row["name"]
        key = row["key_env"] if row["has_key"] else Text(translate("no key"), "dim")
        table.add_row(name, key, *map(translate, _cells(row)))
    width = None if sys.stdout.isatty() else WIDE
    Console(highlight=False, soft_wrap=True, width=width).print(table)
    return 0


def show_provider(name: str, *, as_json: bool) -> int:
    """The profile as it is used here, without any key."""
    provider = _provider(name, settings_of_command())
    if as_json:
        _print(_resolve(provider))
        return 0
    profile = provider.profile
    click.echo(f"{provider.name}{joint(': ')}{printable(translate(profile.title))}")
    for label, value in _lines(provider):
        click.echo(f"  {ljust(_label(label), 12)} {printable(value if label == 'source' else translate(value))}")
    for model, facts in profile.models.items():
        click.echo(
            f"  {ljust(_label('model'), 12)} {printable(model)}: {printable(_model_words(msgspec.to_builtins(facts)))}"
        )
    return 0


def read_body(name: str, kind: AnswerKind, status: int, *, as_json: bool) -> int:
    """What the body on standard input means."""
    profile = _provider(name, settings_of_command()).profile
    understanding = understand(profile, kind, sys.stdin.buffer.read(), status=status)
    if as_json:
        _print(understanding)
        return 0
    for key, value in _flat(understanding):
        click.echo(f"{key:<14} {printable(str(value))}")
    return 0


def show_request(name: str, storyboard: Path, shot_id: str | None, *, as_json: bool) -> int:
    """The request of one shot, as it would be sent."""
    settings = settings_of_command()
    provider = _provider(name, settings)
    board, _ = read_board(storyboard)
    request = preview(provider, board, _shot(board, shot_id), handoff=cast("HandOff", settings.handoff))
    if as_json:
        _print(request)
        return 0
    click.echo(f"{request['method']} {printable(request['url'])}")
    for header, value in request["headers"].items():
        click.echo(f"{header}: {printable(value)}")
    click.echo()
    click.echo(msgspec.json.format(msgspec.json.encode(request["body"]), indent=2).decode())
    return 0


def check_file(path: Path, *, as_json: bool) -> int:
    """Every mistake of a profile, and how its own examples are read. Raises: StoryboardInvalid with all of them."""
    try:
        profile = load_profile(path)
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from error
    wrong = _wrong_examples(profile, read_document(path.read_bytes(), form="yaml").spot)
    if wrong:
        raise StoryboardInvalid(wrong)
    words = f"{number_of('example', len(profile.examples))} read as expected" if profile.examples else "no examples"
    if as_json:
        _print({"object": "profile_check", "id": profile.id, "ok": True, "examples": len(profile.examples)})
    else:
        echo(f"{path} is a profile without mistakes: {words}")
    return 0


def _wrong_examples(profile: Profile, spot: Spot) -> list[Mistake]:
    wrong = []
    for index, example in enumerate(profile.examples):
        read = understand(profile, example.read_as, msgspec.json.encode(example.body), status=example.http)
        place, line = f"examples[{index}]", line_at(spot, ("examples", index))
        wrong += [
            Mistake(place=place, line=line, message=difference) for difference in differences(example.expect, read)
        ]
    return wrong


def _provider(name: str, settings: Settings) -> Provider:
    """A provider by its name, or a profile by its file. Raises: NotFound; StoryboardInvalid."""
    if name.endswith((".yaml", ".yml")):
        path = Path(name)
        if not path.is_file():
            raise NotFound(f"there is no file {name}")
        profile = load_profile(path)
        return provider_of_profile(profile.id, profile, environment())
    return providers_of(settings).of(name)


def _shot(board: Storyboard, shot_id: str | None) -> Shot:
    if shot_id is None:
        return board.shots[0]
    match = next((shot for shot in board.shots if shot.id == shot_id), None)
    if match is None:
        raise NotFound(f"there is no shot {shot_id} in the storyboard; it has {', '.join(s.id for s in board.shots)}")
    return match


def _label(label: str) -> str:
    """*label* in the reader's language; this key is not one of YAML."""
    return label if language() == ENGLISH else translate("Key" if label == "key" else label)


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    can_be = f", can be signed (set {row['secret_missing']})" if row["secret_missing"] else ""
    way = "signed callback" if row["signed"] and not can_be else f"callback{can_be}"
    way = way if row["callback"] in ("create", "query") else "look-ups alone"
    facts = f"{row['checked'] or 'unknown'}{' (old)' if is_old(row) else ''}"
    return way, ", ".join(row["accepts"]), "its own" if row["returns_last_frame"] else "ours", facts


def _resolve(provider: Provider) -> dict[str, Any]:
    profile = cast("dict[str, Any]", msgspec.to_builtins(provider.profile))
    profile["hosts"] = list(provider.profile.hosts)
    profile["models"] = profile.get("models", {})
    for model, price in provider.prices.items():
        profile["models"].setdefault(model, {})["price"] = msgspec.to_builtins(price)
    return {**profile, "name": provider.name, "base": provider.base, "has_key": provider.key is not None}


def _lines(provider: Provider) -> list[tuple[str, str]]:
    profile, row = provider.profile, summary_of(provider, is_default=False)
    key = " or ".join(provider.key_variables) or "none"
    return [
        ("address", provider.base),
        ("key", f"{key} ({'set' if row['has_key'] else 'not set'})"),
        ("completion", _cells(row)[0]),
        ("pictures as", ", ".join(profile.media.accepts)),
        ("last frame", "its own, where the model gives one" if row["returns_last_frame"] else "taken by us"),
        ("facts of", _cells(row)[3]),
        *([("guessed", ", ".join(profile.guessed))] if profile.guessed else []),
        *([("source", profile.source)] if profile.source else []),
    ]


def _model_words(model: dict[str, Any]) -> str:
    words = [f"{key} {_plain(value)}" for key, value in model.items() if key not in ("values", "fields", "drop", "set")]
    return "; ".join(words) or "nothing known"


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return ", ".join(map(_plain, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _flat(understanding: Understanding) -> list[tuple[str, object]]:
    error = understanding["error"]
    lines: list[tuple[str, object]] = [
        (key, ", ".join(value) if isinstance(value, list) else value)
        for key, value in understanding.items()
        if key != "error" and value not in (None, [])
    ]
    return lines + ([(f"error {key}", value) for key, value in error.items() if value] if error else [])


def _print(answer: object) -> None:
    text = msgspec.json.encode(answer)
    echo_json((msgspec.json.format(text, indent=2) if sys.stdout.isatty() else text).decode())
