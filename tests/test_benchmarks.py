"""The runner of the benchmarks: what it asks is there, and its page leaves nothing out. No figure is tested."""

import json
from pathlib import Path

import pytest

from benchmarks import peers
from benchmarks.__main__ import HERE, QUESTIONS, answer, main, page


def test_every_question_has_a_file_and_a_line_in_the_readme() -> None:
    """`make bench` asks nothing that is not there, and a person finds what each asks."""
    readme = (HERE / "README.md").read_text(encoding="utf-8")

    for name in QUESTIONS:
        assert "\ndef main() -> None:" in (HERE / f"{name}.py").read_text(encoding="utf-8"), name
        assert f"| `{name}` |" in readme, name


def test_a_page_holds_sentences_figures_and_their_source() -> None:
    """A peer that was not there is named as such, and so is a question without an answer."""
    figures = {"question": "wake", "ours": {"p50_ms": 1.5, "each": [1, 2]}, "peer": None, "at": [{"runs": 10_000}]}
    text = page({"wake": [json.dumps(figures), "It wakes."], "hop": None})

    assert "## wake\n\nIt wakes.\n" in text
    for row in (
        "| ours · p50_ms | 1.5 |",
        "| ours · each | 1 · 2 |",
        "| peer | not there |",
        "| at · 1 · runs | 10,000 |",
    ):
        assert row in text, row
    assert json.dumps(figures) in "\n".join(answer([json.dumps(figures)]))
    assert "## hop\n\nIt could not be answered" in text


def test_an_unknown_question_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    """`make bench ONLY=…` with a slip of the finger measures nothing."""
    assert main(["wakke"]) == 2
    assert "There is no question wakke; there are: " + ", ".join(QUESTIONS) in capsys.readouterr().err


def test_missing_peers_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their benchmarks say so; nothing fails and nothing is made up."""
    monkeypatch.setattr(peers, "VENV", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert (peers.ffmpeg(), peers.webhook(), peers.python_with_peers()) == (None, None, None)
    assert set(peers.versions().values()) == {None}


def test_peers_of_the_benchmarks_are_found_where_make_puts_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the venv of the peers, after what is on PATH."""
    monkeypatch.setattr(peers, "VENV", tmp_path / "bench")
    monkeypatch.setenv("PATH", str(tmp_path))
    theirs = tmp_path / "bench" / "debian" / "usr" / "bin" / "webhook"
    theirs.parent.mkdir(parents=True)
    theirs.touch()

    assert peers.webhook() == theirs
    ours = tmp_path / "webhook"
    ours.touch(mode=0o755)
    assert peers.webhook() == ours
