"""The command in Chinese: a film from its plan to its end, mistakes, help; English where nobody asks for another."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from framerelay.cli.main import STATUSES
from framerelay.languages.columns import width_of
from tests.cli.test_run import FIVE_MISTAKES
from tests.cli.test_start_up import loaded_by

ROOT = Path(__file__).parents[2]
BOARD = """
title: 霓虹雨夜
model: seedance-1.5-pro-720p
budget: {jobs: 6}
shots:
  - {id: s1, prompt: 跑车驶过街道, takes: 2}
  - {id: s2, prompt: 镜头拉近, gate: approve}
"""
# Three words of English in a row are a sentence that was forgotten; commands to type do not count.
COMMAND = re.compile(r"framerelay [a-z-]+( \S+)*|`[^`]*`|\"[^\"]*\"|(film|run|export): \S+|https?://\S+")
SENTENCE = re.compile(r"[A-Za-z']+(?:[,;:]? [a-z']{2,}){2,}")


def english_in(text: str) -> list[str]:
    """The sentences of English in what a command wrote."""
    return [match[0] for line in text.splitlines() for match in SENTENCE.finditer(COMMAND.sub("", line))]


def test_a_film_is_planned_made_and_decided_on_in_chinese(relay: Any) -> None:
    """From `plan` to `export` no sentence of English is left; what programs read stays as it is."""
    zh = relay.having(LANG="zh")
    board = zh.write("zh.yaml", BOARD)
    result = zh.run("plan", board)
    started_result = zh.run("run", board, "--watch")
    run_id = re.search(r"run_[a-z0-9]+", started_result.out)[0]  # type: ignore[index]
    words = [result, started_result]
    words += [zh.run("show", run_id), zh.run("runs"), zh.run("pick", run_id, "s1", "2")]
    words += [zh.run("approve", run_id, "s2", "--prompt", "镜头再近一点"), zh.run("watch", run_id)]
    words += [zh.run("amend", run_id, zh.write("more.yaml", BOARD + "  - {id: s3, prompt: 雨停}\n"), "--dry-run")]
    words += [zh.run("retake", run_id, "s1"), zh.run("watch", run_id), zh.run("show", run_id)]
    words += [zh.run("export", run_id), zh.run("callbacks"), zh.run("notifications"), zh.run("retake", run_id, "s9")]
    words += [
        zh.run("show", "run_zzz"),
        zh.run("remove", "run_zzz"),
        zh.run("resume", run_id),
        zh.run("cancel", run_id),
    ]

    text = "\n".join(f"{each.out}\n{each.err}" for each in words)
    assert english_in(text) == []
    assert "轮到你了" in started_result.out
    assert re.search(r"s1 +等待你从 2 次生成中选定", zh.run("show", run_id).out) is None, "it was picked"
    assert json.loads(zh.run("show", run_id, "--json").out)["object"] == "run"
    assert english_in(relay.run("plan", board).out) != [], "English where nobody asks for another"


def test_wrong_input_is_reported_in_one_language(relay: Any) -> None:
    """The words that click puts together itself, its stops and kinds of values, and the system's own words."""
    zh = relay.having(LANG="zh")
    (relay.folder / "folder").mkdir()
    wrong = {
        "缺少参数 'RUN'。": zh.run("show"),
        "缺少选项 '--as'。请从以下选择": zh.run("provider", "read", "kling"),
        "没有命令 'runz'。（是不是想写": zh.run("runz"),
        "'x' 不是有效的整数": zh.run("runs", "--limit", "x"),
        "文件夹 'nowhere' 不存在": zh.run("restore", "nowhere"),
        "nowhere.yaml 读不出来：没有这个文件": zh.run("provider", "check", "nowhere.yaml"),
        "folder 读不出来：这是文件夹": zh.run("provider", "check", "folder"),
    }

    assert {sentence: result.err for sentence, result in wrong.items() if sentence not in result.err} == {}
    assert [english_in(result.err.replace("[OPTIONS]", "")) for result in wrong.values()] == [[]] * len(wrong)
    assert relay.run("show").err.endswith("Error: Missing argument 'RUN'.\n")


@pytest.mark.parametrize(
    "words",
    [("--help",), ("amend", "--help"), ("doctor",), ("providers",), ("show",), ("plan", "nowhere.yaml")],
    ids=str,
)
def test_help_findings_and_mistakes_are_in_chinese(relay: Any, words: tuple[str, ...]) -> None:
    result = relay.having(LANG="zh").run(*words)

    assert english_in(result.out + result.err) == []
    assert re.search("[\u4e00-\u9fff]{2}", result.out + result.err)


def test_every_mistake_of_a_storyboard_is_in_chinese(relay: Any) -> None:
    zh = relay.having(LANG="zh")
    result = zh.run("plan", zh.write("wrong.yaml", FIVE_MISTAKES))

    assert result.code == 2
    assert len(result.err.splitlines()) == len(relay.run("plan", "wrong.yaml").err.splitlines()) > 4
    assert english_in(result.err) == []
    assert '第 4 行，budjet：未知的键 "budjet"（是不是 "budget"？）' in result.err


def test_a_storyboard_to_start_from_is_in_chinese(relay: Any) -> None:
    zh = relay.having(LANG="zh", FRAMERELAY_PROVIDER="hailuo")
    zh.run("init", "start.yaml")
    text = (relay.folder / "start.yaml").read_text()

    assert english_in(text) == []
    assert zh.run("plan", "start.yaml").code == 0


@pytest.mark.parametrize(
    ("variables", "is_chinese"),
    [
        ({"LANG": "zh_CN.UTF-8"}, True),
        ({"LANG": "zh_CN.UTF-8", "FRAMERELAY_LANG": "en"}, False),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "zh_TW.UTF-8"}, True),
        ({"LANG": "de_DE.UTF-8"}, False),
        ({"LANG": "zh_CN.UTF-8", "PYTHONIOENCODING": "ascii"}, False),
        ({}, False),
    ],
    ids=str,
)
def test_the_environment_says_the_language(variables: dict[str, str], is_chinese: bool, tmp_path: Path) -> None:
    """An output that cannot show Chinese gets English."""
    command = [sys.executable, "-m", "framerelay.cli.main", "--help"]
    environ = {"PYTHONUTF8": "1", **variables}
    text = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, check=True).stdout.decode()

    assert ("回调" in text) is is_chinese


def test_the_env_file_says_it_as_well(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("FRAMERELAY_LANG=zh\n")
    command = [sys.executable, "-m", "framerelay.cli.main", "--help"]
    process = subprocess.run(command, env={"PYTHONUTF8": "1"}, cwd=tmp_path, capture_output=True, check=True)

    assert "回调" in process.stdout.decode()


def test_english_pays_for_no_other_language(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.delenv("LC_ALL", raising=False)

    assert "babel" not in loaded_by(tmp_path, "--help")


def test_help_fits_aligned_columns_of_eighty(relay: Any) -> None:
    """A Chinese sign takes two of them; click would count one, and let lines run over the edge."""
    zh = relay.having(LANG="zh", COLUMNS=80)
    pages = [zh.run(*words, "--help").out for words in ((), ("sandbox",), ("amend",), ("runs",), ("adopt",))]
    lines = [line for page in pages for line in page.splitlines()]
    columns = {width_of(line[: line.index("回调没有发送")]) for line in lines if "回调没有发送" in line}
    columns |= {width_of(line[: line.index("监听的端口")]) for line in lines if "监听的端口" in line}

    assert [line for line in lines if width_of(line) > 80] == []
    assert len(columns) == 1, "both stand in the second column"
    assert {line for line in lines if line.endswith(":")} == set(), "a heading ends with the colon of its language"
    assert [word for word in ("[OPTIONS]", "[required]", "TEXT", "FLOAT", "INTEGER") if word in "".join(pages)] == []


@pytest.mark.parametrize("code", ["en", "zh"])
def test_statuses_are_listed_as_they_are_typed(shell: Any, code: str) -> None:
    """A translated one would be refused."""
    help_text = shell.having(LANG=code).run("runs", "--help").out

    assert [status for status in STATUSES if status not in help_text] == []
    assert ("进行中" in help_text) is (code == "zh")


def test_wrong_usage_is_reported_in_chinese_by_our_own_commands_too(shell: Any) -> None:
    result = shell.having(LANG="zh").run("release")

    assert result.code == 2
    assert "错误：请给一个编号，或用 --all。" in result.err


def test_lists_keep_what_one_must_read_at_eighty_columns(relay: Any) -> None:
    """The names of providers whole, and of a run's title more than its first sign."""
    zh = relay.having(LANG="zh", FRAMERELAY_PROVIDER="jobs")
    zh.run("run", zh.write("gated.yaml", BOARD.replace("takes: 2", "gate: approve")))
    screen, _ = zh.on_a_terminal("providers")
    listed_screen, _ = zh.on_a_terminal("runs", "--needs-me")

    assert [name for name in ("openai-videos", "kling-legacy", "hailuo", "2026-") if name not in screen] == []
    assert re.search(r"^run_\w{8} .*（等你处理）霓虹雨夜", listed_screen, re.M), listed_screen


def test_a_question_names_the_run_as_chinese_does(relay: Any) -> None:
    """Its title in Chinese quotes; there is no English space between two sentences."""
    zh = relay.having(LANG="zh")
    run_id = re.search(r"run_[a-z0-9]+", zh.run("run", zh.write("zh.yaml", BOARD)).out)[0]  # type: ignore[index]
    screen, _ = zh.on_a_terminal("cancel", "last", keys="n\n")
    result = zh.run("plan", zh.write("short.yaml", BOARD + "  - {id: s3, prompt: 雨停, duration: 2.5}\n"))
    zh.run("cancel", run_id)

    assert f"“霓虹雨夜”（{run_id}）：从此不再提交" in screen
    assert "。继续吗？ [y/N]" in screen
    assert "4 个任务（都顺利的话）；预算上限 6 个任务" in result.out


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "正在装进 .venv/"),
        ({"LANG": "en_US.UTF-8", "FRAMERELAY_LANG": "zh"}, "正在装进 .venv/"),
        ({"LANG": "zh_CN.UTF-8", "FRAMERELAY_LANG": "en"}, "Setting up .venv/ (once, about 20 s) …"),
        ({}, "Setting up .venv/ (once, about 20 s) …"),
    ],
    ids=str,
)
def test_what_make_says_first_is_for_the_same_reader(variables: dict[str, str], words: str) -> None:
    """Before there is a command that could say anything."""
    environ = {"PATH": os.environ["PATH"], **variables}
    command = ["make", "--dry-run", "--what-if=pyproject.toml", "setup"]

    assert words in subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True).stdout


def test_runs_are_aligned_in_columns_however_many_shots_they_have(relay: Any) -> None:
    zh = relay.having(LANG="zh")
    for count in (2, 120):
        shots = "".join(f"  - {{prompt: 雨, from: cut, gate: approve, duration: {4 + n % 2}}}\n" for n in range(count))
        zh.run("run", zh.write("many.yaml", f"title: 很多镜头\nmodel: seedance-1.5-pro-720p\nshots:\n{shots}"))
    lines = [line for line in zh.run("runs").out.splitlines() if "很多镜头" in line]

    assert len(lines) == 2
    assert len({width_of(line[: line.index("个镜头")]) for line in lines}) == 1, lines
