"""
Every command in README and manual is typed as it is written there: page by page, in a folder with the samples.

A sandbox stands for the provider, and quick clips for long ones. A page that starts nothing itself finds sandbox and
`up` running; what one starts stays until its end. What a page wrote and exported is gone for the next one.
`run_…`, `cb_…` and the like are what a command printed last.
`framerelay` is a process of its own each time, whose libraries are loaded already (tests/cli/warm_start.py).
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from framerelay.cli.demo import FILM

ROOT = Path(__file__).parent.parent.parent
CHINESE = ROOT / "docs" / "zh-CN"  # The same commands as in English: tests/docs/test_translations.py.
PAGES = [ROOT / "README.md", ROOT / "deploy" / "README.md"]
PAGES += [page for page in sorted((ROOT / "docs").rglob("*.md")) if page.parent != CHINESE]
WITHIN_S = 180.0
BLOCK = re.compile(
    r"^(?:<!-- (?P<note>[^>]*?) -->\n)?```(?P<kind>\w*)[^\n]*\n(?P<text>.*?)^```$", re.M | re.S | re.ASCII
)
FILE = re.compile(r"# (?:\./)?(?P<name>[\w-]+\.ya?ml)\b")
WARM = ROOT / "tests" / "cli"
QUICK = "--scale 0.1 --clip-s 0.4 --job-s 0"
GIVEN = {"docs"}  # Of the repository.
PRINTED = ("run_", "cb_", "job_", "plan_", "ntf_")
SHELL = r"""
answer() {
  . "$HOUSE/command" < /dev/null > "$HOUSE/output" 2>&1
  echo $? > "$HOUSE/new"
  mv "$HOUSE/new" "$HOUSE/code"
}
framerelay() {
  case "$1" in
    up|receiver|worker|sandbox) start "$@" ;;
    *) command framerelay "$@" ;;
  esac
}
curl() { command curl --fail-with-body --silent --show-error --max-time 30 "$@"; }
start() {  # As in a terminal of its own; one of a kind at a time.
  stop "$1"
  local more=; [ "$1" = sandbox ] && more="$QUICK"
  : > "$HOUSE/$1.log"  # What the one before said must not be taken for this one's.
  command framerelay "$@" $more > "$HOUSE/$1.log" 2>&1 &
  echo $! > "$HOUSE/$1.pid"
  local tries=0
  until grep -qE "$(ready "$1")" "$HOUSE/$1.log"; do
    kill -0 "$(cat "$HOUSE/$1.pid")" 2> /dev/null && [ $((tries += 1)) -lt 600 ] || { cat "$HOUSE/$1.log"; return 1; }
    sleep 0.05
  done
}
keep_exports() { export -p | sed "s/^declare -x /export /" > "$HOUSE/exports"; }
exports_as_kept() {
  unset $(compgen -e | grep -vxE "PATH|HOUSE")
  . "$HOUSE/exports"
}
ready() { case "$1" in up|worker) echo worker_ready ;; receiver) echo receiver_ready ;; *) echo "answers at" ;; esac; }
stop() {
  [ -f "$HOUSE/$1.pid" ] || return 0
  kill "$(cat "$HOUSE/$1.pid")" 2> /dev/null
  wait "$(cat "$HOUSE/$1.pid")" 2> /dev/null
  rm -f "$HOUSE/$1.pid"
}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One fenced block of a page; *line* counted from 1."""

    line: int
    kind: str
    text: str
    note: str

    @property
    def is_typed(self) -> bool:
        return self.kind in ("sh", "bash", "shell", "console")

    def commands(self) -> list[str]:
        """Its commands, each whole: lines are joined until the shell understands them."""
        commands, open_lines = [], ""
        for line in self.text.splitlines(keepends=True):
            if self.kind == "console":
                line = line[2:] if line.startswith(("$ ", "> ")) else ""
            open_lines += line
            if open_lines.strip() and _is_whole(open_lines):
                commands.append(open_lines)
                open_lines = ""
        assert not open_lines.strip(), f"line {self.line}: the shell waits for more: {open_lines}"
        return [command for command in commands if not command.lstrip().startswith("#")]


def _is_whole(text: str) -> bool:
    if text.rstrip("\n").endswith("\\"):
        return False
    process = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True)
    return not process.stderr


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            line=text.count("\n", 0, match.start()) + 1,
            kind=match["kind"],
            text=match["text"],
            note=match["note"] or "",
        )
        for match in BLOCK.finditer(text)
    ]


def typed_pages() -> list[object]:
    """The pages that have anything to type."""
    return [
        pytest.param(page, id=page.relative_to(ROOT).as_posix())
        for page in PAGES
        if any(block.is_typed and not block.note.startswith("not run: ") for block in blocks_of(page))
    ]


@dataclass(slots=True, kw_only=True)
class Terminal:
    """A shell in a folder of its own; what is started in it ends with it."""

    folder: Path
    ports: tuple[int, int]
    asking: socket.socket
    ids: dict[str, str] = field(default_factory=dict)
    _shell: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Terminal":
        shutil.copytree(ROOT / "docs" / "samples", self.folder / "docs" / "samples")
        shutil.copytree(ROOT / "docs" / "samples" / "refs", self.folder / "refs")
        house = self.folder.parent / "house"
        house.mkdir()
        environ = {name: value for name, value in os.environ.items() if not name.startswith("FRAMERELAY_")}
        environ |= {
            "PATH": f"{house}:{Path(sys.executable).parent}:{environ['PATH']}",
            "HOUSE": str(house),
            "QUICK": QUICK,
            "FRAMERELAY_PORT": str(self.ports[1]),
            "FRAMERELAY_LOOKUP_AFTER_S": "0.3",
            "COLUMNS": "100",
        }
        (house / "shell").write_text(SHELL, encoding="utf-8")
        asking = self.asking.fileno()
        command = f'exec "{sys.executable}" -I -S "{WARM}/warm_command.py" {asking} "$@"'
        (house / "framerelay").write_text(f"#!/bin/sh\n{command}\n", encoding="utf-8")
        (house / "framerelay").chmod(0o700)
        self._shell = subprocess.Popen(
            ["bash", "--norc"], cwd=self.folder, env=environ, stdin=subprocess.PIPE, pass_fds=[asking]
        )
        assert self._shell.stdin
        self._shell.stdin.write(b'. "$HOUSE/shell"\n')
        return self

    def __exit__(self, *_: object) -> None:
        self.type('kill $(cat "$HOUSE"/*.pid); for each in worker up receiver sandbox; do stop $each; done')
        assert self._shell
        assert self._shell.stdin
        self._shell.stdin.close()
        self._shell.wait(timeout=WITHIN_S)

    def type(self, command: str) -> tuple[int, str]:
        """What it ended with, and everything that it printed."""
        assert self._shell
        assert self._shell.stdin
        house = self.folder.parent / "house"
        code, output = house / "code", house / "output"
        (house / "command").write_text(self._as_here(command), encoding="utf-8")
        self._shell.stdin.write(b"answer\n")
        self._shell.stdin.flush()
        deadline = time.monotonic() + WITHIN_S
        while not code.exists():
            if time.monotonic() > deadline or self._shell.poll() is not None:
                pytest.fail(f"no end within {WITHIN_S:.0f} s: {command}\n{output.read_text(encoding='utf-8')}")
            time.sleep(0.01)
        exit_code = int(code.read_text(encoding="ascii"))
        code.unlink()
        output_text = output.read_text(encoding="utf-8")
        for prefix in PRINTED:
            if match := re.search(rf"\b{prefix}[A-Za-z0-9]{{8,}}", output_text):
                self.ids[prefix] = match[0]
        return exit_code, output_text

    def with_ports(self, text: str) -> str:
        """A file of the page, with the addresses of this folder."""
        sandbox, relay = (f"127.0.0.1:{port}" for port in self.ports)
        return text.replace("127.0.0.1:8090", sandbox).replace("127.0.0.1:8080", relay)

    def _as_here(self, command: str) -> str:
        """The command with the addresses, keys and names of this folder."""
        sandbox, relay = (f"127.0.0.1:{port}" for port in self.ports)
        here = {
            ".venv/bin/framerelay": "framerelay",
            "https://api.example.com": f"http://{sandbox}",
            "https://relay.example.com": f"http://{relay}",
            "127.0.0.1:8090": sandbox,
            "--port 8090": f"--port {self.ports[0]}",
            "127.0.0.1:8080": relay,
            "sk-…": "sk-sandbox",
            **{f"{prefix}…": name for prefix, name in self.ids.items()},
        }
        for there, ours in here.items():
            command = command.replace(there, ours)
        command = re.sub(r"\bframerelay sandbox(?! --port)", f"framerelay sandbox --port {self.ports[0]}", command)
        command = re.sub(r"(framerelay (?:up|receiver|worker|sandbox)\b[^\n&]*?) +&\s*$", r"\1\n", command, flags=re.M)
        assert not re.search(r"\b[a-z]+_…", command), f"nothing was printed that could be given here: {command}"
        return command


def _free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


@pytest.fixture(scope="module")
def asking() -> Iterator[socket.socket]:
    """What is written to it starts a command whose libraries are loaded already."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        command = [sys.executable, "-I", str(WARM / "warm_start.py"), str(theirs.fileno())]
        environ = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        process = subprocess.Popen(command, env=environ, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        theirs.close()
        yield ours
    process.wait(timeout=WITHIN_S)


@pytest.fixture
def own(tmp_path: Path, asking: socket.socket) -> Iterator[Terminal]:
    """For a page that starts things itself."""
    with Terminal(folder=tmp_path / "film", ports=_free_ports(), asking=asking) as one_terminal:
        yield one_terminal


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, asking: socket.socket) -> Iterator[Terminal]:
    """For the others: sandbox and FrameRelay run already."""
    folder = tmp_path_factory.mktemp("shared") / "film"
    with Terminal(folder=folder, ports=_free_ports(), asking=asking) as one_terminal:
        _start_provider(one_terminal)
        _has_started(one_terminal, "framerelay up")
        yield one_terminal


def _start_provider(terminal: Terminal) -> None:
    _has_started(terminal, "framerelay sandbox")
    upstream = f"http://127.0.0.1:{terminal.ports[0]}"
    terminal.type(f"export FRAMERELAY_UPSTREAM_URL={upstream} FRAMERELAY_UPSTREAM_KEY=sk-sandbox")
    terminal.type("export FRAMERELAY_TRUSTED_HOSTS=127.0.0.1")


@pytest.mark.parametrize("page", typed_pages())
def test_the_commands_of_a_page_do_what_it_says(page: Path, request: pytest.FixtureRequest) -> None:
    """A newcomer can type them from top to bottom; each ends as the page says, else with 0."""
    blocks = blocks_of(page)
    script = "".join(block.text for block in blocks if block.is_typed and not block.note.startswith("not run: "))
    starts = re.search(r"framerelay (up|receiver|sandbox)\b", script)
    terminal: Terminal = request.getfixturevalue("own" if starts else "shared")
    terminal.type(f"cd {terminal.folder}")
    terminal.type("keep_exports")
    terminal.ids.clear()
    names = {each.name for each in terminal.folder.iterdir()}
    request.addfinalizer(partial(_leave_as_found, terminal, names))
    if starts and "framerelay sandbox" not in script:
        _start_provider(terminal)
    for block in blocks:
        if match := FILE.match(block.text):
            (terminal.folder / match["name"]).write_text(terminal.with_ports(block.text), encoding="utf-8")
        if block.is_typed and not block.note.startswith("not run: "):
            _type(terminal, page, block)
    assert seen_by_git({each.name for each in terminal.folder.iterdir()} - GIVEN) == []


def _leave_as_found(terminal: Terminal, names: set[str]) -> None:
    """Which page comes first on a terminal is chance, so none may find what another one wrote or exported there."""
    terminal.type("exports_as_kept")
    for each in terminal.folder.iterdir():
        if each.name not in names | {"data"}:
            shutil.rmtree(each) if each.is_dir() else each.unlink()


def test_what_the_demo_leaves_is_ignored_by_git() -> None:
    """`make demo` writes its film into the checkout."""
    assert seen_by_git({FILM, "data", ".env", "nohup.out"}) == []
    assert seen_by_git({"README.md", "docs", "mkdocs.yml"}) == ["README.md", "docs", "mkdocs.yml"]


def seen_by_git(names: set[str]) -> list[str]:
    """Those that `git status` would show if they lay in the checkout, be it as folders with a file in them."""
    with tempfile.TemporaryDirectory() as folder:
        checkout = Path(folder)
        shutil.copy(ROOT / ".gitignore", checkout)
        subprocess.run(["git", "init", "--quiet", folder], check=True)
        for name in names:
            (checkout / name).mkdir()
            (checkout / name / "file").touch()
        command = ["git", "-C", folder, "check-ignore", "--", *(f"{name}/file" for name in names)]
        ignored_names = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    return sorted(name for name in names if f"{name}/file" not in ignored_names)


def _has_started(terminal: Terminal, command: str) -> None:
    code, output = terminal.type(command)
    assert code == 0, output


def _type(terminal: Terminal, page: Path, block: Block) -> None:
    *before, last = block.commands()
    ends = re.fullmatch(r"ends with (\d+)", block.note)
    for command, expected in [*((each, 0) for each in before), (last, int(ends[1]) if ends else 0)]:
        code, output = terminal.type(command)
        logs = "".join(
            f"\n--- {log.name}\n{log.read_text()[-1500:]}" for log in terminal.folder.parent.glob("house/*.log")
        )
        assert code == expected, (
            f"{page.name}:{block.line}: {command}ended with {code}, not {expected}:\n{output}{logs}"
        )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_block_of_commands_is_typed(page: Path) -> None:
    """Commands are in `sh` blocks, and what is not typed there says why."""
    text = page.read_text(encoding="utf-8")
    for block in blocks_of(page):
        assert not block.note.startswith("not run") or re.fullmatch(r"not run: \w.{8,}", block.note), block
        if not block.is_typed:
            assert not re.search(r"^(\$ )?(\.venv/bin/)?(framerelay \w|curl )", block.text, re.M), (
                f"{page.name}:{block.line}"
            )
    outside = BLOCK.sub("", text)
    assert not re.search(r"^    (\.venv/bin/)?(framerelay \w|curl )", outside, re.M), page.name
