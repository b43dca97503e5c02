"""
Which sentences of the code are messages, and how they are in the catalogs; for `make catalogs` and tests.

Messages are written where they are made, as plain and formatted strings; nobody marks them. What reads like prose is
one, but for docstrings, log lines and errors of programming. A formatted string becomes a message with names in place
of its values: ``f"there is no run {run_id}"`` is ``there is no run {run_id}``. Names that stand side by side are one,
and what only English grammar needs (``{'s' * (n != 1)}``) is ``{en}``, which other languages leave out.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent.parent
ROOMS: Final = (
    *("api", "cli", "config", "media", "network", "processors", "receiver", "runs", "store", "storyboards"),
    "upstream",
)
# What these say is for programs and programmers, and stays English: schemas, metrics, logs, settings, MCP.
ENGLISH_ONLY: Final = frozenset(
    {
        *("api/operations.py", "api/operation.py", "api/amend_operations.py", "api/openapi.py", "api/parameters.py"),
        *("api/storyboard_schema.py", "api/decision_bodies.py", "api/shapes", "cli/mcp", "cli/completion.py"),
        *("config/settings.py", "config/metrics.py", "config/logs.py", "config/log_lines.py", "config/reference.py"),
        *("config/exposition.py", "receiver/metrics.py", "media/child/cage.py", "receiver/page/static_files.py"),
        *("api/manifest.py", "api/timeline.py", "runs/tokens.py", "receiver/headers.py", "store/keeper.py"),
        *("config/traces.py", "upstream/complaints.py", "upstream/wire.py", "upstream/senders.py"),
        *("upstream/families.py", "upstream/job.py"),
    }
)
# What is too short to be found by itself: statuses, measures, and what is counted.
SHORT: Final = (
    *("running", "waiting", "succeeded", "failed", "cancelled", "pending", "submitting", "generating", "collecting"),
    *("done", "unsure", "expired", "held", "yes", "no", "now", "draft", "cancel", "approve", "nobody", "nothing"),
    *("{number} s", "{number} h {minutes}", "{number} days", "{number} min", "next at {clock}"),
    *("{low} to {high}", "no new submits", "stale", "the film", "its film", "its history", "a list", "text"),
    *("Commands", "integer", "float", "[OPTIONS]", "COMMAND [ARGS]...", "TEXT", "RATE", "WORD", "required"),
    *("waits for a free place at {provider}", "{number}st", "{number}nd", "{number}rd", "{number}th"),
    *("take {number}", "takes {numbers}", "shot {shot_id}", "shots {shot_ids}", "{number} pixels", "fetched"),
    *("no such file or directory", "permission denied", "is a directory", "not a directory", "connection refused"),
    *("file exists", "address already in use", "cannot assign requested address", "connection reset by peer"),
    *("broken pipe", "network is unreachable", "no route to host", "connection timed out", "operation not permitted"),
    *("too many open files", "disk quota exceeded", "input/output error", "device or resource busy"),
    *("file name too long", "directory not empty", "cannot allocate memory", "name or service not known"),
    *("temporary failure in name resolution", "no address associated with hostname", "text file busy"),
    *("kept: {names}", "changed: {names}", "added: {names}", "dropped: {names}", "made again: {names}"),
    *("write {value} without quotes", 'put it in quotes, "{text}"', "write true, without quotes"),
    *("write false, without quotes", "integer range", "float range", "stale file handle"),
    *("shots {shot_ids} start when you approve", "shots {shot_ids} wait for you to pick a take"),
    *("shots {shot_ids} are tried again until the provider is back", "all connection attempts failed"),
    "shots {shot_ids} wait for you to say what became of their job",
    *("no space left on device", "read-only file system", "forever", "before", "after", "none", "its own", "ours"),
    *(
        "callback",
        "clip",
        "unknown",
        "(old)",
        "(default)",
        "provider",
        "key",
        "hand-off",
        "completion",
        "settings",
        "disk",
    ),
    *("address", "guessed", "source", "set", "kept", "changed", "added", "dropped", "written", "Stopped", "Ending …"),
    *("accepted", "ignored", "repeated", "quarantined", "refused", "delivered", "given up", "gone"),
    *(
        "take {number} {doing}",
        "takes {numbers} {doing}",
        "takes {number} and {last} {doing}",
        "{number} takes",
        "next",
    ),
    *("{names} is made as it is written now", "{names} are made as they are written now", "{names} is added"),
    *("{names} is made again, from another frame", "{names} are made again, from other frames", "{names} are added"),
    *("{names} leaves the film, and its takes are kept", "{names} leave the film, and their takes are kept"),
    *("{price} to the end of the film", "receiver", "worker", "{number} takes", "then {follows}", "parameter", "field"),
    *("begins with the prompt alone", "begins with your picture", "needs you", "Begin", "Decide"),
    *("Providers", "Operate", "the shot {doing}", "says", "seed"),
    *("line {number}", "line {number}, {place}", "{number} shots", "put off", "nowhere", "no status"),
)
# Of the titles of the profiles that are shipped those that are called otherwise in another language.
TITLES: Final = (
    *("Volcengine Ark (Seedance)", "BytePlus ModelArk (Seedance)", "DashScope (Wan)", "Qiniu (fal's format)"),
    *("Kling (new API, API key)", "Kling (old API, /v1/videos)", "MiniMax (V1, Hailuo)", "MiniMax (V2, MiniMax-H3)"),
    *("The jobs API (POST /v1/jobs)", "OpenAI's videos API (gateways)"),
)
_PROSE: Final = re.compile(r"[A-Za-z]{2,}['’]?s? [a-z(]|[a-z]{2,}[,;:]? [A-Za-z{(]|\} [a-z]{2,}|^[,;:]? ?[a-z]{3,} \{")
_NO_PROSE: Final = re.compile(
    r"^[A-Z_]+ [A-Z_ ]+$|max-age|charset|^\^|\\[wdsSW]|\(\?|^Bearer |^Basic |^[a-z_]+=|^id: |^# |^%|^: |HMAC|^bytes "
    r"|^[a-z-]+/[a-z-]+[;,]|^Accept|^Invalid HTTP|^\w+\[\w+, \w+\]$|'self'|^export [A-Z]|^  export |token any token$"
    r"|^max number of clients|^No connection avail|^mapping values|^unexpected end of|^expected <|could not find exp"
    r"|^framerelay: \{|^unknown escape|^callback_url bytes|^frame of turn|^film of turn|^hour \{|^framerelay found"
    r"|# The one above|^invited |^  framerelay |^  \{argv\}"
)
_CODE_ERRORS: Final = frozenset({"RuntimeError", "AssertionError", "TypeError", "KeyError", "NotImplementedError"})
_ENDS: Final = ",;:."
_WRAPPERS: Final = frozenset(
    {
        *("excerpt", "printable", "redact", "redact_url", "clause", "str", "len", "join_names", "duration"),
        *("soon", "repr", "quote", "cut", "sorted", "map", "round", "int"),
        *("float", "range_words", "amount_words", "ordinal", "trim", "folder_words", "os_words", "in_words"),
        *("bucket_words", "describe_value", "near", "_capital", "sentence", "min", "max", "sum"),
        *("join", "format", "abs", "list"),
    }
)
_TOO_PLAIN: Final = frozenset({"id", "name", "message", "value", "text", "words", "title", "status", "number"})


def messages(root: Path = ROOT) -> dict[str, list[tuple[str, int]]]:
    """Every message of the code, with the files and lines where it is made."""
    found: dict[str, list[tuple[str, int]]] = {}
    for room in ROOMS:
        for file in sorted((root / room).rglob("*.py")):
            name = file.relative_to(root).as_posix()
            if not any(name == each or name.startswith(f"{each}/") for each in ENGLISH_ONLY):
                for line, message in messages_in(file.read_text(encoding="utf-8")):
                    found.setdefault(message, []).append((name, line))
    for message in (*SHORT, *TITLES):
        found.setdefault(message, []).append(("docs/site/messages.py", 1))
    return found


def messages_in(source: str) -> Iterator[tuple[int, str]]:
    """The messages of one file, with their lines."""
    tree = ast.parse(source)
    skipped = set(_skipped(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (noun := _counted(node)):
            yield node.lineno, f"1 {noun}"
            yield node.lineno, f"{{number}} {noun}s"
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and (spoken := _spoken_docstring(node)):
            yield from ((node.lineno, tidy(message)) for message in spoken)
        elif isinstance(node, ast.expr) and id(node) not in skipped and (text := _message(node)):
            yield from ((node.lineno, message) for line in text.split("\n") if _says(message := tidy(line)))


def tidy(text: str) -> str:
    """*text* as a catalog has it: without joints and blanks at its ends; one blank in front means that it follows."""
    inner = text.strip().strip(_ENDS if not text.endswith("…") else "").strip()
    follows = text.startswith(" ") and not text.startswith("  ") and not inner.startswith("(")
    return f" {inner}" if follows else inner


def _message(node: ast.expr) -> str | None:
    if isinstance(node, ast.JoinedStr):
        text = _with_names(node)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        text = node.value
    else:
        return None
    if not _PROSE.search(re.sub(r"\{[a-z_0-9]+\}", "{x}", text)) or _NO_PROSE.search(text) or len(text) > 900:
        return None
    return text


def _says(message: str) -> bool:
    """Whether it is more than names."""
    return re.search(r"[A-Za-z]{2}", re.sub(r"\{[a-z_0-9]+\}", "", message)) is not None


def _with_names(node: ast.JoinedStr) -> str:
    """The text with a name in place of each value."""
    used: dict[str, int] = {}
    pieces: list[str] = []
    names: list[str] = []

    def close() -> None:
        if names:
            telling = [name for name in names if name != "en"] or ["en"]
            name = "_".join(dict.fromkeys(telling))[:40].strip("_")
            used[name] = used.get(name, 0) + 1
            number = str(used[name]) if used[name] > 1 else ""
            pieces.append("{" + name + number + "}")
            names.clear()

    for value in node.values:
        if isinstance(value, ast.Constant):
            close()
            pieces.append(value.value if isinstance(value.value, str) else "")
        elif isinstance(value, ast.FormattedValue):
            names.append(_name(value.value))
    close()
    return "".join(pieces)


def _name(node: ast.expr) -> str:
    """A name for what is in a text, after what it is in the code."""
    match node:
        case ast.Name(id=name):
            return name.strip("_").lower()
        case ast.Attribute(value=owner, attr=attr):
            plain = attr.strip("_").lower()
            return f"{_name(owner)}_{plain}" if plain in _TOO_PLAIN and not isinstance(owner, ast.Call) else plain
        case ast.Call(func=ast.Name(id="number_of"), args=[ast.Constant(value=str(noun)), *_]):
            return f"{noun}s"
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=[first, *_]) if name in _WRAPPERS:
            return _name(first)
        case ast.Call(func=ast.Attribute(value=owner)) if not isinstance(owner, ast.Constant):
            return _name(owner)
        case ast.Call(func=ast.Name(id=name)):
            return name.strip("_").lower()
        case ast.Call(args=[first, *_]):
            return _name(first)
        case ast.Subscript(value=owner) | ast.Await(value=owner) | ast.Starred(value=owner):
            return _name(owner)
        case ast.IfExp(body=ast.Constant(value=str(one)), orelse=ast.Constant(value=str(other))) if _is_grammar(
            one, other
        ):
            return "en"
        case ast.BinOp(left=ast.Constant(value=str()), op=ast.Mult()):
            return "en"
        case ast.BinOp(left=left):
            return _name(left)
        case ast.BoolOp(values=[first, *_]):
            return _name(first)
        case ast.GeneratorExp(elt=first) | ast.ListComp(elt=first) | ast.SetComp(elt=first):
            return _name(first)
        case ast.IfExp(body=ast.JoinedStr() | ast.Constant()):
            return "more"
        case ast.IfExp(body=body):
            return _name(body)
    return "value"


def _is_grammar(one: str, other: str) -> bool:
    """Whether the two are forms of one word that English needs: ``s`` and nothing, ``is`` and ``are``."""
    pairs = ({"", "s"}, {"", "es"}, {"is", "are"}, {"it is", "they are"}, {"waits", "wait"}, {"its", "their"})
    return {one, other} in (*pairs, {"needs", "need"}, {"adds", "add"})


def _counted(node: ast.Call) -> str | None:
    """The noun of ``number_of("job", …)``."""
    match node:
        case ast.Call(func=ast.Name(id="number_of"), args=[ast.Constant(value=str(noun)), *_]):
            return noun
    return None


def _spoken_docstring(node: ast.ClassDef | ast.FunctionDef) -> list[str]:
    """What of a docstring a person reads: the help of a command, the default message of an error."""
    text = ast.get_docstring(node) or ""
    if isinstance(node, ast.FunctionDef) and any(_is_command(each) for each in node.decorator_list):
        return [" ".join(part.split()) for part in text.split("\n\n")]
    if isinstance(node, ast.ClassDef) and node.bases and text:
        coded = [each for each in node.body if isinstance(each, ast.AnnAssign | ast.Assign) and _names_code(each)]
        if coded and isinstance(coded[0].value, ast.Constant) and coded[0].value.value:
            first = text.splitlines()[0]
            return [first[:1].lower() + first[1:]]
    return []


def _names_code(node: ast.AnnAssign | ast.Assign) -> bool:
    targets = [node.target] if isinstance(node, ast.AnnAssign) else node.targets
    return any(isinstance(target, ast.Name) and target.id == "code" for target in targets)


def _is_command(node: ast.expr) -> bool:
    func = node.func if isinstance(node, ast.Call) else node
    return isinstance(func, ast.Attribute) and func.attr in ("command", "group")


def _skipped(tree: ast.AST) -> Iterator[int]:
    """The ids of strings that nobody reads, or that stand within another one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield from (id(value) for value in node.values)
            yield from (
                id(spec)
                for value in node.values
                for spec in ast.walk(getattr(value, "format_spec", None) or ast.Pass())
            )
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield id(node.value)
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and _called(node.exc) in _CODE_ERRORS:
            yield from map(id, ast.walk(node))
        elif isinstance(node, ast.Call) and _is_for_programs(node):
            yield from (id(inner) for argument in node.args for inner in ast.walk(argument))
        elif isinstance(node, ast.arg | ast.AnnAssign) and node.annotation:
            yield from map(id, ast.walk(node.annotation))
        elif isinstance(node, ast.Assert):
            yield from map(id, ast.walk(node))
        elif isinstance(node, ast.Subscript):
            yield from map(id, ast.walk(node.slice))


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def _is_for_programs(node: ast.Call) -> bool:
    """Log lines, regular expressions, and the columns of a table in Redis."""
    func = node.func
    owner = func.value.id if isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name) else ""
    return owner in ("log", "re", "_log", "struct") or _called(node) in ("TypeVar", "getLogger", "encode", "namedtuple")
