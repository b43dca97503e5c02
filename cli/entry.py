"""The script `framerelay`: a Ctrl-C has its meaning before the command is loaded, which takes a moment."""

from framerelay.cli.interrupts import leave_on_interrupt


def main() -> None:
    """Load the command, and give it what was typed."""
    leave_on_interrupt()
    from framerelay.cli.main import main as command

    command()
