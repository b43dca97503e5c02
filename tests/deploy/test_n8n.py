"""The workflows for n8n: made of nodes that there are, wired soundly, and asking for what our API and provider take."""

import asyncio
import base64
import functools
import json
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import playwright
import pytest
from standardwebhooks import Webhook
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from framerelay.api.openapi import document
from framerelay.cli.http import listening_on, serving

FOLDER = Path(__file__).parents[2] / "deploy" / "n8n"
WORKFLOWS = sorted(FOLDER.glob("*.json"))
# What n8n-nodes-base 2.41.2 (November 2026) has of those that are used; older versions of a node stay with it for good.
KNOWN: dict[str, set[float]] = {
    "manualTrigger": {1},
    "stickyNote": {1},
    "noOp": {1},
    "stopAndError": {1},
    "set": {3, 3.1, 3.2, 3.3, 3.4, 3.5},
    "if": {2, 2.1, 2.2, 2.3},
    "switch": {3, 3.1, 3.2, 3.3, 3.4},
    "wait": {1, 1.1},
    "webhook": {1, 1.1, 2, 2.1},
    "httpRequest": {3, 4, 4.1, 4.2, 4.3, 4.4, 4.5},
}
OUTPUTS = {"if": 2, "stopAndError": 0, "stickyNote": 0}
RESUME = "https://n8n.example.com/webhook-waiting/7?signature=abc"
RUN = {
    "id": "run_" + "a" * 24,
    "status": "succeeded",
    "film": {"url": "https://relay.example.com/media/run_x/film.mp4"},
    "shots": [{"takes": [{"video": {"url": "https://relay.example.com/media/run_x/start.1.mp4"}}]}],
    "error": None,
}

# n8n's expressions are JavaScript; Playwright, which tests the page, brings a node.
NODE = shutil.which("node") or str(Path(playwright.__file__).parent / "driver" / "node")


def workflow(name: str) -> dict[str, Any]:
    """A workflow by its file's name."""
    document: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return document


def nodes_of(name: str) -> dict[str, dict[str, Any]]:
    """Its nodes by their names."""
    return {node["name"]: node for node in workflow(name)["nodes"]}


def kind_of(node: dict[str, Any]) -> str:
    """Its type without the package."""
    return str(node["type"]).removeprefix("n8n-nodes-base.")


def value_of(value: str, item: dict[str, Any], before: dict[str, dict[str, Any]], *, resume: str = RESUME) -> Any:
    """What a field says for *item*, as n8n reads it: ``=`` begins an expression, ``{{ }}`` holds JavaScript."""
    if not value.startswith("="):
        return value
    parts = re.split(r"\{\{(.*?)\}\}(?=[^}]|$)", value[1:], flags=re.S)
    whole = len(parts) == 3 and not parts[0].strip() and not parts[2].strip()
    results = [_evaluated(part, json.dumps(item), json.dumps(before), resume) for part in parts[1::2]]
    if whole:
        return results[0]
    return "".join(part if index % 2 == 0 else str(results[index // 2]) for index, part in enumerate(parts))


@functools.cache
def _evaluated(expression: str, item: str, before: str, resume: str) -> Any:
    script = f"""
      const $json = {item}, before = {before}, $execution = {{ id: '7', resumeUrl: {json.dumps(resume)} }};
      const $ = (name) => ({{ first: () => ({{ json: before[name] }}) }});
      process.stdout.write(JSON.stringify({{ said: ({expression}) }}));
    """
    return json.loads(_node(script))["said"]


def _node(script: str) -> str:
    process = subprocess.run([NODE, "-e", script], capture_output=True, text=True, timeout=90, check=False)
    assert process.returncode == 0, process.stderr
    return process.stdout


def settings(node: dict[str, Any], item: dict[str, Any]) -> dict[str, Any]:
    """The item that a Set node makes."""
    fields = node["parameters"]["assignments"]["assignments"]
    found_fields = {
        field["name"]: value_of(field["value"], item, {}) if isinstance(field["value"], str) else field["value"]
        for field in fields
    }
    objects = {field["name"] for field in fields if field["type"] == "object"}
    return {name: json.loads(value) if name in objects else value for name, value in found_fields.items()}


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: str(file.stem))
def test_a_workflow_is_made_of_nodes_that_there_are_and_wired_to_them(file: Path) -> None:
    """Every node has a known type and version, every connection begins and ends at a node, and each can be reached."""
    document = workflow(file.stem)
    nodes = {node["name"]: node for node in document["nodes"]}
    assert len(nodes) == len(document["nodes"]) == len({node["id"] for node in document["nodes"]})
    for node in nodes.values():
        assert node["typeVersion"] in KNOWN[kind_of(node)], node["name"]
        assert len(node["position"]) == 2
    names = {name for name, node in nodes.items() if kind_of(node) in ("manualTrigger", "webhook", "stickyNote")}
    for source, outputs in document["connections"].items():
        kind = kind_of(nodes[source])
        rules = nodes[source]["parameters"].get("rules", {}).get("values", [])
        assert len(outputs["main"]) == (len(rules) + 1 if kind == "switch" else OUTPUTS.get(kind, 1)), source
        for edge in (edge for output in outputs["main"] for edge in output):
            assert (edge["type"], edge["index"]) == ("main", 0)
            names.add(edge["node"])
    assert names == set(nodes)


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: str(file.stem))
def test_a_workflow_brings_no_credentials_and_no_data(file: Path) -> None:
    """A person chooses a credential; each request asks for one, and no key is in a header or a field."""
    document = workflow(file.stem)
    text = file.read_text(encoding="utf-8")
    assert not re.search(r"fr_[A-Za-z0-9_-]{20}|sk-[A-Za-z0-9]|whsec_[A-Za-z0-9]|Bearer (?!Auth)[A-Za-z0-9]", text)
    assert '"Authorization"' not in text
    assert (document["pinData"], document["active"]) == ({}, False)
    for node in document["nodes"]:
        assert "credentials" not in node
        if kind_of(node) == "httpRequest":
            assert node["parameters"]["genericAuthType"] == "httpBearerAuth"


def test_a_film_is_started_as_our_api_takes_it_and_once() -> None:
    """The address, the headers and the body are those of /openapi.json; a repeat is the same run."""
    nodes = nodes_of("film")
    item = settings(nodes["Settings"], {})
    asks = nodes["Start the film"]["parameters"]
    headers = {field["name"]: value_of(field["value"], item, {}) for field in asks["headerParameters"]["parameters"]}
    body = json.loads(value_of(asks["jsonBody"], item, {}))

    api = document()
    operation = api["paths"][value_of(asks["url"], item, {}).removeprefix(item["framerelay_url"])][
        asks["method"].lower()
    ]
    headers_known = {
        api["components"]["parameters"][each["$ref"].rpartition("/")[2]]["name"] if "$ref" in each else each["name"]
        for each in operation["parameters"]
    }
    assert set(headers) <= headers_known
    assert (headers["Idempotency-Key"], headers["Max-Jobs"]) == ("n8n-7", item["max_jobs"])
    schemas = api["components"]["schemas"]
    jsonschema_rs.validate({**schemas["Storyboard"], "components": {"schemas": schemas}}, body)
    assert body["notify_url"] == RESUME
    assert item["max_jobs"] >= len(body["shots"])


@pytest.mark.parametrize(
    ("status", "next_node"),
    [
        ("succeeded", "Download the film"),
        ("waiting", "Tell a person"),
        ("failed", "Stop"),
        ("cancelled", "Stop"),
        ("running", "Until FrameRelay tells"),
    ],
)
def test_a_film_is_looked_at_when_framerelay_tells_and_goes_its_way(status: str, next_node: str) -> None:
    """What was told is never believed: the run's own status decides, and an unfinished film is waited for again."""
    nodes = nodes_of("film")
    item = settings(nodes["Settings"], {})
    before = {"Settings": item, "Start the film": RUN}
    url = value_of(nodes["Look at the film"]["parameters"]["url"], {"body": {"type": "run.succeeded"}}, before)
    assert url == f"{item['framerelay_url']}/v1/runs/{RUN['id']}"
    assert after("How does it stand", {**RUN, "status": status}) == next_node
    assert workflow("film")["connections"]["Tell a person"]["main"][0][0]["node"] == "Until FrameRelay tells"


def after(switch: str, run: dict[str, Any]) -> str:
    """The node that a switch of the film's workflow leads to."""
    rules = nodes_of("film")[switch]["parameters"]["rules"]["values"]
    fitting = [
        index
        for index, rule in enumerate(rules)
        for condition in rule["conditions"]["conditions"]
        if value_of(condition["leftValue"], run, {}) == condition["rightValue"]
    ]
    [edge] = workflow("film")["connections"][switch]["main"][fitting[0] if fitting else len(rules)]
    return str(edge["node"])


@pytest.mark.anyio
async def test_a_film_is_made_node_by_node(start_provider: Any, start_relay: Any) -> None:
    """Walked as n8n would, with the real notifications: started once, woken, looked at, downloaded whole."""
    nodes = nodes_of("film")
    woken: asyncio.Queue[bytes] = asyncio.Queue()

    async def wake(request: Request) -> Response:
        woken.put_nowait(await request.body())
        return Response(status_code=200)

    n8n = Starlette(routes=[Route("/webhook-waiting/7", wake, methods=["POST"])])
    async with start_provider() as provider, start_relay(provider.url) as relay:
        with listening_on("127.0.0.1", 0) as listener:
            async with serving(n8n, listener):
                resume = f"http://127.0.0.1:{listener.getsockname()[1]}/webhook-waiting/7?signature=abc"
                item = {**settings(nodes["Settings"], {}), "framerelay_url": relay.settings.listen_url}
                before = {
                    "Settings": item,
                    "Start the film": await start_run(relay, nodes["Start the film"], item, resume),
                }
                place, run = "Until FrameRelay tells", RUN
                while place == "Until FrameRelay tells":
                    await asyncio.wait_for(woken.get(), 60)
                    look = value_of(nodes["Look at the film"]["parameters"]["url"], {}, before)
                    run = (await relay.api.get(look)).json()
                    place = after("How does it stand", run)
                film = await relay.api.get(value_of(nodes[place]["parameters"]["url"], run, before))
        assert (place, len(film.content)) == ("Download the film", run["film"]["bytes"])
        assert len((await provider.journal())["submits"]) == 3


async def start_run(relay: Any, node: dict[str, Any], item: dict[str, Any], resume: str) -> dict[str, Any]:
    """The run that *node* starts; asked again, as n8n does when an answer was lost, it is the same."""
    asks = node["parameters"]
    headers = {each["name"]: str(value_of(each["value"], item, {})) for each in asks["headerParameters"]["parameters"]}
    body = json.loads(value_of(asks["jsonBody"], item, {}, resume=resume))
    first, again = [
        (await relay.api.post(value_of(asks["url"], item, {}), json=body, headers=headers)).json() for _ in "ab"
    ]
    assert (first["id"], first["budget"]) == (again["id"], {"jobs": item["max_jobs"]})
    run: dict[str, Any] = first
    return run


def test_the_wait_is_for_a_post_and_ends_by_itself() -> None:
    """Nothing polls; a day and two hours after nothing came, longer than we try, it looks once by itself."""
    wait = nodes_of("film")["Until FrameRelay tells"]["parameters"]
    assert (wait["resume"], wait["httpMethod"], wait["limitWaitTime"]) == ("webhook", "POST", True)
    assert (wait["resumeAmount"], wait["resumeUnit"]) == (26, "hours")


@pytest.mark.parametrize(("name", "node"), [("film", "Download the film"), ("single-job", "Download the clip")])
def test_files_are_fetched_where_framerelay_is_and_nowhere_else(name: str, node: str) -> None:
    """The key goes to the address that the person wrote, whatever an answer says."""
    here = {"framerelay_url": "http://127.0.0.1:8080"}
    url = value_of(nodes_of(name)[node]["parameters"]["url"], RUN, {"Settings": here, "FrameRelay": here})
    assert re.fullmatch(r"http://127\.0\.0\.1:8080/media/run_x/(film|start\.1)\.mp4", url)


def test_a_single_job_is_submitted_with_our_address_and_never_twice() -> None:
    """The body is a job of the provider with callback_url; a paid request is not repeated by n8n."""
    node = nodes_of("single-job")["Submit the job"]
    item = settings(nodes_of("single-job")["The job"], {})
    quotation = {**item, "prompt": 'She says "now"\nand goes'}
    body = json.loads(value_of(node["parameters"]["jsonBody"], quotation, {}))
    assert body["input"]["callback_url"] == item["callback_url"]
    assert body["input"]["prompt"] == quotation["prompt"]
    assert value_of(node["parameters"]["url"], item, {}) == f"{item['upstream_url']}/v1/jobs"
    assert not node.get("retryOnFail")


@pytest.mark.anyio
async def test_the_provider_takes_the_job_as_the_workflow_writes_it(start_provider: Any) -> None:
    """Sent to the sandbox, it is a job that calls back where it should."""
    nodes = nodes_of("single-job")
    async with start_provider() as provider, httpx.AsyncClient(trust_env=False) as http:
        item = {**settings(nodes["The job"], {}), "upstream_url": provider.url, "callback_url": f"{provider.url}/x"}
        asks = nodes["Submit the job"]["parameters"]
        body = json.loads(value_of(asks["jsonBody"], item, {}))
        answer = await http.post(
            value_of(asks["url"], item, {}), json=body, headers={"Authorization": "Bearer sk-sandbox"}
        )
        assert answer.is_success, answer.text
        assert (await provider.journal())["jobs_per_callback_url"] == {item["callback_url"]: 1}


def test_words_of_a_stranger_cannot_break_out_of_an_address() -> None:
    """Anyone who knows the webhook can call it; the run's id in the call is quoted."""
    nodes = nodes_of("single-job")
    item = settings(nodes["FrameRelay"], {"body": {"data": {"run": "../callbacks?x=#"}}})
    url = value_of(nodes["Look at the run"]["parameters"]["url"], item, {})
    assert url == "http://127.0.0.1:8080/v1/runs/..%2Fcallbacks%3Fx%3D%23"


SECRET = "whsec_" + base64.b64encode(b"only for tests, 24 bytes").decode()
BODY = '{"type":"run.succeeded","data":{"run":"run_x"}}'


def signed(body: str, *, secret: str = SECRET, age_s: float = 0) -> dict[str, str]:
    """Headers as the published library makes them."""
    moment = datetime.fromtimestamp(datetime.now(UTC).timestamp() - age_s, UTC)
    signature = Webhook(secret).sign("msg_1", moment, body)
    return {"webhook-id": "msg_1", "webhook-timestamp": str(int(moment.timestamp())), "webhook-signature": signature}


def verified(headers: dict[str, str], body: str) -> str:
    """What the Code node makes of a message: ``passed`` or its error."""
    code = (FOLDER / "verify.js").read_text(encoding="utf-8")
    return _node(f"""
      const node = async function ($input, $env) {{ {code} }};
      const items = [{{ json: {{ headers: {json.dumps(headers)} }} }}];
      const helpers = {{ getBinaryDataBuffer: async () => Buffer.from({json.dumps(body)}) }};
      node.call({{ helpers }}, {{ all: () => items }}, {{ FRAMERELAY_NOTIFY_SECRET: {json.dumps(SECRET)} }})
        .then((out) => (out.length === 1 ? 'passed' : 'lost'), (error) => error.message)
        .then((words) => process.stdout.write(words));
    """)


def test_the_code_node_believes_standard_webhooks_and_nothing_else() -> None:
    """Signed by the published library it passes, also beside an old secret's signature; all else is refused."""
    other = "whsec_" + base64.b64encode(b"another key, of 24 bytes").decode()
    good = signed(BODY)
    both = {
        **good,
        "webhook-signature": f"{signed(BODY, secret=other)['webhook-signature']} {good['webhook-signature']}",
    }
    assert verified(good, BODY) == "passed"
    assert verified(both, BODY) == "passed"
    for headers, body in (
        (good, BODY.replace("run_x", "run_y")),
        (signed(BODY, secret=other), BODY),
        (signed(BODY, age_s=600), BODY),
        ({**good, "webhook-id": "msg_2"}, BODY),
        ({**good, "webhook-signature": good["webhook-signature"].replace("v1,", "v1a,")}, BODY),
        ({}, BODY),
    ):
        assert "does not come from FrameRelay" in verified(headers, body), headers
