"""Lines of text that has Chinese signs in it: how wide they are, and where they may end."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from framerelay.languages.columns import width_of, wrap

TEXT = st.text(alphabet="镜头片段首帧，。；（）“”：s1 run_abc --budget 5", max_size=80)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("每个镜头从前一个的尾帧开始。", ["每个镜头从", "前一个的尾", "帧开始。"]),
        ("镜头完成了，（共三个）", ["镜头完成", "了，（共三", "个）"]),
        ("to be read as ever", ["to be read", "as ever"]),
        ("见 /data/media/run_ubnwp2r5/film.mp4", ["见", "/data/media/run_ubnwp2r5/film.mp4"]),
        ("", [""]),
    ],
    ids=str,
)
def test_lines_end_where_chinese_ones_may(text: str, lines: list[str]) -> None:
    """After any sign, but no line begins with a stop or ends with an opening bracket; a path is never split."""
    assert wrap(text, 10) == lines


@example("111111111", 8)
@given(TEXT, st.integers(8, 40))
def test_nothing_is_lost_and_no_line_is_too_wide(text: str, width: int) -> None:
    """But for blanks at the ends of lines, words that are wider, and stops in a row, which cannot stand alone."""
    lines = wrap(text, width)
    wide_lines = [line for line in lines if width_of(line) > width and not set(line) & set("，。；（）“”：")]

    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert [line for line in wide_lines if not re.fullmatch("[!-~]+", line)] == []
