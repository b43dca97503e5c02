"""Every route that ``/openapi.json`` names, asked well, oddly and badly: never a 500, always as the document says."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_from_bytes, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framerelay.api import openapi
from framerelay.api.access import COOKIE

DOCUMENT = openapi.document()
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}
KEY, READ = b"Bearer fr_operate_0123456789", b"Bearer fr_read_0123456789abc"
ORIGIN = b"http://relay.example.com"
PASSED = {200, 201, 303, 409}
PLAIN = {"GET /livez", "GET /readyz"}  # Hardly anything is wrong to them.

WORD = {"enum": ["succeeded", "failed", "running", "queued", "expired", "cancelled", "Success", "new word"]}
TEXT: dict[str, Any] = {"type": "string"}
RESULT = {
    "type": "object",
    "properties": {
        "id": TEXT,
        "job_id": TEXT,
        "task_id": TEXT,
        "status": WORD,
        "state": WORD,
        "seed": {"type": "integer"},
        "created_at": {"type": "number"},
        "videos": {"type": "array", "items": {"type": "object", "properties": {"url": TEXT}}},
        "content": {"type": "object", "properties": {"video_url": TEXT, "last_frame_url": TEXT}},
        "error": {"type": "object", "properties": {"code": TEXT, "message": TEXT}},
    },
}
JOB = {"type": "object", "properties": {**RESULT["properties"], "output": RESULT, "data": RESULT}}

# --- odd things --------------------------------------------------------------------------------------------------

ODD_TEXT = st.sampled_from(
    [
        "",
        " ",
        "\0",
        "\ud800",
        "霓虹",
        "é",
        "²",
        "٣",
        "\u202e",
        "\ufeff",
        "a" * 5000,
        "null",
        "NaN",
        "-1",
        "1e999",
        "0x10",
        "../../etc/passwd",
        "..",
        ".",
        "%00",
        "\r\n",
        "${x}",
        "*",
        "+",
        "$",
        "(",
        "9" * 400,
        "true",
        "[]",
        "{}",
        "\t",
        "http://[",
        "file:///etc/passwd",
        "https://user:pw@example.com/",
        "data:",
        "file:given/x.png",
        "s1",
        "continue",
    ]
)
NESTED = [json.loads("[" * depth + "]" * depth) for depth in (31, 33, 60, 500)]
ODD_JSON = st.one_of(
    ODD_TEXT,
    st.sampled_from(
        [None, True, False, 0, -1, 1, 1.5, 2**31, 2**32, 2**53, 2**63, 2**64, -(2**63) - 1, 10**60, 10**4000]
    ),
    st.sampled_from(
        [float("nan"), float("inf"), float("-inf"), 1e308, -0.0, 5e-324, [], {}, [None], {"": None}, *NESTED]
    ),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
        max_leaves=12,
    ),
)
# A server lets no control character but a tab pass in a header.
ODD_HEADER = st.one_of(
    st.sampled_from(
        [b"", b" ", b"\t", b"\xff", b"\xb2", b"\xc3\xa9", b"a" * 5000, b"-1", b"9" * 5000, b"0", b"*", b',;="']
    ),
    st.text("".join(map(chr, [9, *range(32, 127), *range(128, 256)])), max_size=40).map(
        lambda text: text.encode("latin-1")
    ),
)


@st.composite
def fitting(draw: st.DrawFn, schema: dict[str, Any], oddness: int) -> Any:
    """A value of *schema*; one in *oddness* of all that is in it is something else (0: none)."""
    if oddness and draw(st.integers(1, oddness)) == oddness:
        return draw(ODD_JSON)
    if "$ref" in schema:
        return draw(fitting(DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]], oddness))
    if "anyOf" in schema:
        return draw(fitting(draw(st.sampled_from(schema["anyOf"])), oddness))
    if "const" in schema or "enum" in schema:
        return draw(st.sampled_from(schema.get("enum") or [schema["const"]]))
    match schema["type"]:
        case "object":
            return draw(_objects(schema, oddness))
        case "array":
            count = draw(st.integers(schema.get("minItems", 0), 3))
            return [draw(fitting(schema["items"], oddness)) for _ in range(count)]
        case "integer":
            bounds = schema.get("minimum", -(2**40)), schema.get("maximum", 2**40)
            return draw(st.sampled_from([1, 1, 2, 3]) | st.integers(*bounds))
        case "number":
            return draw(st.floats(allow_nan=False, allow_infinity=False) | st.integers(1, 20))
        case "boolean":
            return draw(st.booleans())
        case "null":
            return None
    if "pattern" in schema:
        return draw(st.from_regex(schema["pattern"], fullmatch="\\S" not in schema["pattern"]))
    likely = ["cut", "s1", "https://example.com/a.png", "job_1", "720p", "seedance"]
    return draw(st.sampled_from(likely) | st.text(min_size=schema.get("minLength", 0), max_size=30))


# Who makes a clip, for how much, and files that were given: by chance none of them is ever right.
TAKES_KNOWLEDGE = ("provider", "money", "reference_images", "reference_videos")


@st.composite
def _objects(draw: st.DrawFn, schema: dict[str, Any], oddness: int) -> dict[str, Any]:
    needed_names = set(schema.get("required", ()))
    if "oneOf" in schema:
        needed_names |= set(draw(st.sampled_from(schema["oneOf"]))["required"])
    if not oddness:  # Either of several is enough, which no schema says: a model here or in each shot, a limit.
        needed_names |= {"model", "jobs"} & schema.get("properties", {}).keys()
    others = [
        name for name in schema.get("properties", {}) if name not in needed_names and name not in ("scenes", "shots")
    ]
    others = [name for name in others if oddness or name not in TAKES_KNOWLEDGE]
    names = sorted(needed_names) + draw(
        st.lists(st.sampled_from(others), unique=True, max_size=3) if others else st.just([])
    )
    value = {name: draw(fitting(schema["properties"][name], oddness)) for name in names}
    if oddness and draw(st.integers(1, oddness)) == oddness:
        value[draw(ODD_TEXT)] = draw(ODD_JSON)
    return value


# By chance a storyboard of all that the schema names is hardly ever right.
BOARD = b'{"model": "m", "budget": {"jobs": 2}, "shots": [{"prompt": "a"}, {"prompt": "b"}]}'
TAKE_A_BOARD = ("startRun", "planRun", "amendRun")

# --- requests ----------------------------------------------------------------------------------------------------

YAML = st.sampled_from(
    [
        b"model: m\nshots:\n  - &a {prompt: x}\n  - *a\n",
        b"model: m\nshots: &s [*s]\n",
        b"a: &a [x, x, x]\nb: &b [*a, *a, *a]\nc: &c [*b, *b, *b]\nmodel: *c\nshots: *c\n",
        b"<<: {model: m}\nshots: [{prompt: a}]\n",
        b"!!python/object/apply:os.system ['true']\n",
        b"model: !!binary AAAA\nshots: !!set {a, b}\n",
        b"%YAML 1.1\n---\nmodel: yes\nshots: [{prompt: 1:30, seed: 0o17, duration: .nan}]\n",
        b"%TAG ! tag:x,2000:\n---\n!a b: c\n",
        b"--- a\n--- b\n...\n",
        b"? [a, b]\n: c\n? {d: e}\n: f\n",
        b"model: 2001-12-14t21:59:43.10-05:00\nshots: ~\n",
        b"model: |2\n  x\n\ttab\nshots: >-\n",
        b'model: "\\ud800\\x00\\U0010ffff"\nshots: [{prompt: "\\0"}]\n',
        b"model: m\nbudget: {jobs: " + b"9" * 5000 + b"}\nshots: [{prompt: a, seed: 1e400, takes: 0x1F}]\n",
        b"- " * 3000,
        b"{" * 3000,
        b"'",
        b"@",
        b"\xef\xbb\xbfmodel: m\n",
        "model: 霓虹\nshots: [{prompt: 跑车}]\n".encode("utf-16"),
        b"#" * 4000,
        b"model: \x07\x85\xe2\x80\xa8\n",
    ]
)
RAW = st.one_of(
    st.binary(max_size=200),
    YAML,
    st.sampled_from(
        [b"", b" ", b"null", b"{", b"[]", b'"x"', b"\xff\xfe{", b"[" * 20_000, b'{"a":' * 20_000, b"NaN", b"1" * 9000]
    ),
    st.sampled_from(
        [b'{"take": 1, "take": 2}', b'{"revision": 1e400}', b'{"take": -0}', b'{"\\ud800": 1}', b"key=%ff&key=%00"]
    ),
)
PICTURES = st.sampled_from([b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"RIFF\0\0\0\0WEBPx", b"\xff\xd8\xff", b"<svg/>"])
KINDS = st.sampled_from(
    [
        b"application/json",
        b"application/yaml",
        b"text/yaml; charset=utf-16",
        b"multipart/form-data",
        b"text/plain",
        b"yaml\xff",
    ]
)
PROOFS = st.sampled_from(
    [KEY] * 12 + [READ, b"", b"Bearer", b"Bearer \xff", b"Basic eDp5", b"bearer  fr_operate_0123456789"]
)
ODD_ORIGINS = st.sampled_from([b"http://[", b"null", b"http://relay.example.com:x", b"//", b"http://]/", b"\xff"])
ODD_RANGES = st.sampled_from(
    [
        b"bytes=0-0",
        b"bytes=-1",
        b"bytes=5-",
        b"bytes=9-1",
        b"bytes=0-1,1-2,2-3,9999-",
        b"bytes=--1",
        b"bytes=" + b"0-0," * 500,
        b"bytes=" + b"9" * 5000 + b"-",
        b"bytes=\xb2-\xb3",
        b"bytes=",
        b"bytes",
        b"items=0-1",
        b"bytes=0-1;q=2",
        b"bytes= 0 - 1 ",
    ]
)
ODD_EVENT_IDS = st.sampled_from(
    [b"0", b"0-0", b"1-", b"$", b"9" * 18, b"9" * 18 + b"-" + b"9" * 18, b"-1", b"\xb2", b"1-2-3"]
)
CHOSEN_HEADERS = {
    b"range": ODD_RANGES | ODD_HEADER,
    b"last-event-id": ODD_EVENT_IDS | ODD_HEADER,
    b"idempotency-key": st.sampled_from([b"k", b"k" * 200, b"k" * 201, b"\xa0", b"{framerelay}:run"]) | ODD_HEADER,
    b"content-encoding": st.sampled_from([b"identity", b"", b"gzip", b"br, identity", b"IDENTITY "]) | ODD_HEADER,
    b"cookie": st.sampled_from([COOKIE.encode() + value for value in (b"", b"=", b"=..", b"=1.2.3", b"=\xff", b'="\\')])
    | ODD_HEADER,
    b"origin": ODD_ORIGINS | ODD_HEADER,
    b"if-range": ODD_HEADER,
    b"if-none-match": ODD_HEADER,
    b"sec-fetch-site": st.sampled_from([b"same-origin", b"none", b""]) | ODD_HEADER,
    b"accept": ODD_HEADER,
    b"expect": st.sampled_from([b"100-continue", b"x"]),
    b"x-forwarded-for": st.sampled_from([b"::1", b"1.2.3.4, x", b""]) | ODD_HEADER,
    b"x-http-method-override": st.sampled_from([b"DELETE"]),
}


@st.composite
def requests(draw: st.DrawFn, place: str, names: dict[str, list[str]], request_type: Callable[..., Any]) -> Any:
    """A request for *place*: mostly with *names* that there are, so that it gets past the first check."""
    method, path = place.split()
    operation = OPERATIONS[place]
    chunks, kind = draw(_bodies(operation, names))
    headers = draw(_proofs(operation, names))
    if kind is not None:
        headers.append((b"content-type", draw(st.one_of(*[st.just(kind)] * 5, KINDS, ODD_HEADER))))
    odd = draw(st.lists(st.sampled_from(sorted(CHOSEN_HEADERS)), max_size=3)) if draw(st.booleans()) else []
    headers += [(name, draw(CHOSEN_HEADERS[name])) for name in odd]
    target = draw(_targets(path, operation, names))
    if method == "GET" and draw(st.integers(0, 9)) == 0:
        method = "HEAD"
    return request_type(method=method, target=target, headers=tuple(headers), chunks=chunks)


@st.composite
def _bodies(
    draw: st.DrawFn, operation: dict[str, Any], names: dict[str, list[str]]
) -> tuple[tuple[bytes, ...], bytes | None]:
    """The body in chunks, and the content type that goes with it; sometimes one where none is wanted."""
    if "requestBody" not in operation and draw(st.integers(0, 9)):
        return (b"",), None
    content = operation.get("requestBody", {}).get("content", {"application/json": {"schema": {"type": "object"}}})
    kind = draw(st.sampled_from(sorted(content)))
    schema = content[kind]["schema"]
    if operation["operationId"] == "receiveCallback":
        schema = JOB
    if draw(st.integers(0, 5)) == 5:
        body = draw(RAW)
    elif schema.get("format") == "binary":
        body = draw(PICTURES)
    elif operation["operationId"] == "logIn":
        body = draw(st.sampled_from([b"key=" + KEY[7:], b"key=" + READ[7:], b"key=%00", b"key=\xff", b"key"]))
    elif operation["operationId"] == "logOut":
        body = draw(st.sampled_from([b"", b"", b"&", b"key=x", b"=", b"&".join([b"a=b"] * 30)]))
    else:
        value = draw(fitting(schema, draw(st.sampled_from([0, 0, 4, 12]))))
        if isinstance(value, dict) and operation["operationId"] == "adoptJob":
            value |= {name: draw(st.sampled_from(names[name])) for name in ("run", "shot") if draw(st.integers(0, 5))}
        text = json.dumps(value, ensure_ascii=draw(st.booleans()))
        body = text.encode("utf-8", "surrogatepass")[: draw(st.sampled_from([None] * 9 + [1, 7, -1]))]
    cut = draw(st.integers(0, len(body)))
    return draw(st.sampled_from([(body,), (body[:cut], body[cut:]), (b"", body)])), kind.encode()


@st.composite
def _proofs(draw: st.DrawFn, operation: dict[str, Any], names: dict[str, list[str]]) -> list[tuple[bytes, bytes]]:
    """A key, or a session from our own page or not."""
    if operation["operationId"] not in ("logIn", "logOut") and draw(st.integers(0, 5)):
        proof = draw(PROOFS)
        return [(b"authorization", proof)] if proof else []
    origin = draw(st.sampled_from([ORIGIN, ORIGIN, b""]) | ODD_ORIGINS)
    return [(b"cookie", names["session"][0].encode()), *([(b"origin", origin)] if origin else [])]


@st.composite
def _targets(draw: st.DrawFn, path: str, operation: dict[str, Any], names: dict[str, list[str]]) -> str:
    query: list[str] = []
    for parameter in operation["parameters"]:
        if "$ref" in parameter:
            parameter = DOCUMENT["components"]["parameters"][parameter["$ref"].rpartition("/")[2]]
        name = parameter["name"]
        if parameter["in"] == "path":
            odd = ODD_TEXT.map(lambda text: quote(text, safe="", errors="surrogatepass"))
            odd |= st.binary(min_size=1, max_size=20).map(lambda raw: quote_from_bytes(raw, safe=""))
            value = draw(st.sampled_from(names[name])) if draw(st.integers(0, 7)) else draw(odd)
            path = path.replace(f"{{{name}}}", value)
        elif parameter["in"] == "query" and draw(st.booleans()):
            fit = st.sampled_from(names[name]) if name in names else fitting(parameter["schema"], 0).map(str)
            value = draw(st.one_of(fit, fit, ODD_TEXT))
            query.append(f"{name}={quote(value, errors='surrogatepass')}")
    if "signature" in str(operation["parameters"]) and draw(st.integers(0, 3)) == 0:
        query.append(names["signed"][0])
    if draw(st.integers(0, 15)) == 0:
        query.append(
            draw(st.sampled_from(["&&=", "limit=1&limit=x", "%", "%ff=%fe", "a" * 5000, "after=%00", "status[]=x"]))
        )
    return path + ("?" + "&".join(query) if query else "")


# --- the promise -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", OPERATIONS, ids=lambda place: OPERATIONS[place]["operationId"])
def test_no_request_is_answered_otherwise_than_the_document_says(
    place: str, door: Any, api_document: Any, fuzz_settings: Any
) -> None:
    """Never a 500, always the envelope, always a status that is named; and it serves on."""
    statuses: set[int] = set()

    @fuzz_settings(80)
    @given(request=requests(place, door.names, door.request_type))
    def ask(request: Any) -> None:
        answer = door.ask(request)
        api_document.check(answer, path=unquote(request.target.partition("?")[0]))
        assert answer.status_code < 500, (request, answer.text[:300])
        statuses.add(answer.status_code)

    ask()
    if OPERATIONS[place]["operationId"] in TAKE_A_BOARD:
        method, path = place.split()
        headers = ((b"authorization", KEY), (b"content-type", b"application/json"))
        target = path.replace("{run}", door.names["run"][0])
        statuses.add(
            door.ask(door.request_type(method=method, target=target, headers=headers, chunks=(BOARD,))).status_code
        )
    assert statuses & PASSED, "none got past the first checks"
    assert max(statuses) > 400 or place in PLAIN, "none was refused"
    for target in ("/readyz", "/v1/runs?limit=200", "/v1/callbacks?limit=200"):
        answer = door.get(target)
        assert answer.status_code == 200, target
        api_document.check(answer)
