"""Help in a language whose characters take two columns: click counts each as one, and only breaks lines at spaces."""

from collections.abc import Iterable
from typing import Final

import click

from framerelay.languages.catalogs import translate
from framerelay.languages.columns import ljust, width_of, wrap
from framerelay.languages.sentences import WIDE

COLUMN_MAX: Final = 30
_REQUIRED: Final = "[required]"


class WideFormatter(click.HelpFormatter):
    """Lays out help as click does, by the columns that a terminal shows, and with the colons of the language."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        super().write_usage(prog, args, translate("Usage:") if prefix is None else prefix)

    def write_heading(self, heading: str) -> None:
        self.write(f"{'':>{self.current_indent}}{heading}{WIDE[': ']}\n")

    def write_text(self, text: str) -> None:
        indent = " " * self.current_indent
        for number, paragraph in enumerate(text.split("\n\n")):
            lines = wrap(" ".join(paragraph.split("\n")).strip(), self.width - self.current_indent)
            self.write(("\n" if number else "") + "".join(f"{indent}{line}\n" for line in lines))

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = COLUMN_MAX, col_spacing: int = 2) -> None:
        rows = list(rows)
        column = min(max(width_of(term) for term, _ in rows), col_max)
        indent = " " * self.current_indent
        for term, words in rows:
            lines = wrap(_marks(words), max(10, self.width - self.current_indent - column - col_spacing))
            if width_of(term) > column:
                self.write(f"{indent}{term}\n")
                term = ""
            for number, line in enumerate(lines):
                self.write(f"{indent}{ljust('' if number else term, column)}{' ' * col_spacing}{line}\n")


def _marks(words: str) -> str:
    """What click itself adds after an option's help: that it is required, its default, its range."""
    words = words.replace(_REQUIRED, f"[{translate('required')}]")
    head, bracket, tail = words.rpartition("  [")
    return f"{head}{bracket}{tail.replace('; ', WIDE['; '])}" if bracket else words
