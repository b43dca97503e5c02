"""The language in which the command speaks: its help, what it prints, and click's own words."""

import gettext
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

from framerelay.config.env_file import SettingInvalid, values_of
from framerelay.languages.catalogs import DOMAIN, FOLDER, translate
from framerelay.languages.reader import ENGLISH, FULL_STOP, SAMPLE, VARIABLE, language, of_environment, read_in

# Placeholders for values that no sentence contains.
_VALUES: Final = ("TEXT", "RATE", "WORD")


def set_language(command: click.Command) -> None:
    """
    From here on speak the language of the environment (``FRAMERELAY_LANG``, else ``LANG``), if the output can show it.

    In English nothing is loaded and nothing changes.
    """
    code = _language_of_environment()
    if code == ENGLISH or not all(_can_show(SAMPLE, stream) for stream in (sys.stdout, sys.stderr)):
        return
    read_in(code)
    os.environ["LANGUAGE"] = code  # This is how gettext, which click uses, finds the catalog.
    gettext.bindtextdomain(DOMAIN, FOLDER)
    gettext.textdomain(DOMAIN)
    from framerelay.cli.help import WideFormatter

    click.Context.formatter_class = WideFormatter
    _put_help(command)


@contextmanager
def translate_click_errors() -> Iterator[None]:
    """Repair what click composes from its own pieces, with English periods and spaces; translate our own."""
    try:
        yield
    except (click.MissingParameter, click.NoSuchOption, click.NoSuchCommand) as error:
        if language() == ENGLISH:
            raise
        words = re.sub(f"{FULL_STOP} ", FULL_STOP, re.sub(r"'\.(?=\s|$) ?", f"'{FULL_STOP}", error.format_message()))
        raise click.UsageError(words, error.ctx) from None
    except click.UsageError as error:
        if type(error) is not click.UsageError or language() == ENGLISH:
            raise
        raise click.UsageError(translate(error.message), error.ctx) from None


def set_english() -> None:
    """For commands whose output is for programs."""
    read_in(ENGLISH)


def first_sentence(help_text: str) -> str:
    """The first sentence of a command's help, whole, with its period."""
    if language() == ENGLISH:
        return help_text.partition(".")[0] + "."
    return help_text.partition("\n")[0].partition(FULL_STOP)[0] + FULL_STOP


def _language_of_environment() -> str:
    try:
        in_file = values_of(Path(".env")) if VARIABLE not in os.environ else {}
    except SettingInvalid:  # The code that reads the settings reports it.
        in_file = {}
    return of_environment({**os.environ, **{VARIABLE: in_file[VARIABLE]}} if VARIABLE in in_file else os.environ)


def _can_show(text: str, stream: object) -> bool:
    try:
        text.encode(getattr(stream, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _put_help(command: click.Command) -> None:
    """Let each command and option show help in the chosen language."""
    if command.help:
        paragraphs = re.split(r"\n\s*\n", command.help.strip())
        command.help = "\n\n".join(translate(" ".join(each.split())) for each in paragraphs)
    command.options_metavar = translate("[OPTIONS]")
    if isinstance(command, click.Group):
        command.subcommand_metavar = translate("COMMAND [ARGS]...")
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.help:
            parameter.help = translate(parameter.help)
        if isinstance(parameter, click.Option) and parameter.metavar in _VALUES:
            parameter.metavar = translate(parameter.metavar)
        if not isinstance(parameter.type, click.Choice):
            parameter.type.name = translate(parameter.type.name)
    for each in command.commands.values() if isinstance(command, click.Group) else ():
        _put_help(each)
