"""The settings of a command that a person typed."""

from framerelay.cli.output import echo
from framerelay.config.misspellings import misspellings
from framerelay.config.settings import Settings, from_environment
from framerelay.runs.text import printable


def settings_of_command() -> Settings:
    """As the environment and ``.env`` give them; misspelled names there are reported on standard error."""
    settings = from_environment()
    for sentence in misspellings():
        echo(printable(f"framerelay: {sentence}"), err=True)
    return settings
