"""In which language the receiver answers: errors of each kind, plans and runs, and the page with its switch."""

import re
from typing import Any

import httpx
import pytest

from framerelay.languages.catalogs import translate
from framerelay.languages.reader import COOKIE, reading
from framerelay.receiver.page.rendering import _sentence
from framerelay.receiver.readers import language_of
from framerelay.runs.events import PreparationFailed
from framerelay.runs.model import Family, Problem
from framerelay.runs.notice_kinds import NotificationState
from framerelay.store.outbox import Delivery, Outbox
from framerelay.store.progress import record

pytestmark = pytest.mark.anyio

ZH = {"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"}
CHINESE = re.compile("[\u4e00-\u9fff]")
ENGLISH = re.compile(r"[A-Za-z']+(?:[,;:]? [a-z']{2,}){2,}")
GONE = "run_" + "z" * 24
WRONG = b"title: x\nmodle: m\nshots:\n  - {id: s1, prompt: a, duration: long}\n  - {id: s4}\n"
YAML = {"Content-Type": "application/yaml"}


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "words"),
    [
        ("GET", f"/v1/runs/{GONE}", {}, 404, f"没有运行 {GONE}"),
        ("GET", "/v1/nowhere", {}, 404, "没有这个地址"),
        ("GET", "/v1/runs?limit=0", {}, 422, "limit 不是 1 到 200 的数"),
        ("GET", "/v1/runs?staus=done", {}, 422, '未知的参数 "staus"'),
        ("POST", "/v1/runs", {"content": WRONG, "headers": YAML}, 422, '第 2 行，modle：未知的键 "modle"'),
        ("POST", "/v1/plan", {"content": b"", "headers": YAML}, 422, "里面什么也没有"),
        ("POST", "/v1/files", {"content": b"no picture"}, 422, "文件不是 PNG、JPEG、WebP、GIF、BMP 或 TIFF 图片"),
        ("POST", "/v1/callbacks/cb_1/replay", {"json": {}}, 404, "没有这个回调，或已不再保存"),
        ("GET", "/v1/runs", {"headers": {"Authorization": "Bearer wrong"}}, 401, "需要以 Bearer 给出 API 密钥"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.startswith("/") else "",
)
async def test_errors_are_in_the_readers_language(
    relay: Any, method: str, path: str, options: dict[str, Any], status: int, words: str
) -> None:
    """The codes and names of things stay; without the header each word is as it was."""
    headers = options.get("headers", {})
    options = {name: value for name, value in options.items() if name != "headers"}
    chinese = await relay.api.request(method, path, headers={**headers, **ZH}, **options)
    english = await relay.api.request(method, path, headers=headers, **options)

    assert (chinese.status_code, english.status_code) == (status, status)
    zh, en = chinese.json()["error"], english.json()["error"]
    assert words in zh["message"]
    assert ENGLISH.search(zh["message"]) is None
    assert not CHINESE.search(en["message"])
    assert (zh["code"], zh["param"]) == (en["code"], en["param"])
    for mine, theirs in zip(zh.get("mistakes", []), en.get("mistakes", []), strict=True):
        assert mine["place"] == theirs["place"]
        assert mine["line"] == theirs["line"]
        assert CHINESE.search(mine["message"])


async def test_sentences_stored_in_a_run_are_shown_in_the_readers_language(relay: Any, board: Any) -> None:
    """A problem that was stored in English is translated where it is read; the provider's own words stay."""
    run_id = await relay.run(board)
    message = "the provider says: no such run; done, now"
    problem = Problem(code="refused", message=message, family=Family.UNKNOWN)
    assert (await record(relay.store, run_id, PreparationFailed(shot_id="s1", problem=problem, until=None))).changed

    run = (await relay.api.get(f"/v1/runs/{run_id}", headers=ZH)).json()
    assert run["shots"][0]["error"]["message"] == "供应商说：no such run; done, now"
    assert (run["title"], run["shots"][0]["status"]) == (board["title"], "failed")
    assert (await relay.api.get(f"/v1/runs/{run_id}")).json()["shots"][0]["error"]["message"] == message


async def test_a_plan_warns_in_the_language_of_its_reader(relay: Any, board: Any) -> None:
    small = {**board, "budget": {"jobs": 1}}
    chinese = (await relay.api.post("/v1/plan", json=small, headers=ZH)).json()
    english = (await relay.api.post("/v1/plan", json=small)).json()

    assert [each["code"] for each in chinese["warnings"]] == [each["code"] for each in english["warnings"]]
    assert all(CHINESE.search(each["message"]) for each in chinese["warnings"])
    assert not any(CHINESE.search(each["message"]) for each in english["warnings"])
    assert chinese["id"] == english["id"]


@pytest.mark.parametrize(
    ("path", "header", "cookie", "setting", "code"),
    [
        ("/v1/runs", "zh", None, "en", "zh"),
        ("/v1/runs", "de", None, "zh", "zh"),
        ("/v1/runs", None, "zh", None, "en"),
        ("/", "zh", None, None, "zh"),
        ("/", "zh", None, "en", "en"),
        ("/", "en", "zh", "en", "zh"),
        ("/", "en", "xx", None, "en"),
        ("/", None, None, None, "en"),
    ],
    ids=str,
)
def test_the_reader_goes_before_the_setting_and_a_choice_before_both(
    path: str, header: str | None, cookie: str | None, setting: str | None, code: str
) -> None:
    """On the page the setting goes before what a browser says by itself."""
    headers = [(b"accept-language", header.encode())] if header else []
    headers += [(b"cookie", f"a=b; {COOKIE}={cookie}".encode())] if cookie else []

    assert language_of({"type": "http", "path": path, "headers": headers}, setting) == code


async def test_the_switch_of_the_page_is_kept_in_the_browser(relay: Any) -> None:
    """It leads back to where one was, and never away from here."""
    url = relay.settings.listen_url
    async with httpx.AsyncClient(base_url=url, headers={"Accept": "text/html", "Origin": url}, trust_env=False) as http:
        for before, place in (
            (f"{url}/callbacks?after=cb_1", "/callbacks?after=cb_1"),
            (f"{url}//evil.example", "/"),
            ("https://evil.example/callbacks", "/"),
            ("http://[", "/"),
            ("", "/"),
        ):
            answer = await http.post("/language", data={"lang": "zh"}, headers={"Referer": before})
            assert (answer.status_code, answer.headers["Location"]) == (303, place)
        assert http.cookies[COOKIE] == "zh"
        assert (await http.post("/language", data={"lang": "xx"})).status_code == 422
        assert "Accept-Language" in (await http.get("/login")).headers["Vary"]


async def test_the_page_shows_the_state_of_a_run_in_chinese(browser: Any, relay: Any, board: Any) -> None:
    """Sentences are the reader's; title and prompts are whose they are."""
    run_id = await relay.run({**board, "title": "done"})
    english = (await browser.get(f"/runs/{run_id}")).text
    chinese = (await browser.get(f"/runs/{run_id}", headers=ZH)).text

    assert "即将提交" in chinese
    assert "about to be submitted" in english
    for theirs in (board["shots"][0]["prompt"], board["shots"][1]["prompt"], "中文"):  # That is the switch.
        english = english.replace(theirs, "")
    assert not CHINESE.search(english)
    assert "done" in chinese


@pytest.mark.parametrize("path", ["/", "/new", "/callbacks", "/notifications", "/providers", "/health"])
async def test_each_page_is_chinese_throughout(browser: Any, path: str) -> None:
    """What is to be typed and others' names stay; examples are Chinese, and no blank follows a Chinese stop."""
    page = (await browser.get(path, headers=ZH)).text
    text = re.sub(r"(?s)<(script|style|code|pre|datalist)\b.*?</\1>|<option.*?</option>", "x", page)
    attributes = re.findall(r'(?:placeholder|title|aria-label|alt)="([^"]*)"', text)
    words = [*re.split(r"<[^>]*>", text), *attributes]

    assert [each for each in words if ENGLISH.search(re.sub(r"/v1/|POST|title:|prompt:", "", each))] == []
    assert re.findall(r"[。；：，] +(?:<a |[^\s<])", text) == []


async def test_the_outcome_of_a_notification_is_in_chinese(browser: Any, relay: Any, board: Any, redis: Any) -> None:
    """In the list, and in each of its tries."""
    shots = [{"prompt": "雨", "gate": "approve"}]
    await relay.run({**board, "title": "told", "shots": shots, "notify_url": "https://hooks.example.com/x"})
    outbox = Outbox(redis)
    ((claim,), _) = await outbox.claim(room=1, lease_s=60.0)
    delivery = Delivery(at=1.0, status=500, outcome="answered 500", took_ms=3)
    await outbox.settle(claim, delivery, NotificationState.WAITING, wait_s=60.0)
    page = (await browser.get("/notifications", headers=ZH)).text

    assert page.count("返回 500") == 2
    assert "3 毫秒" in page


async def test_the_history_of_a_shot_says_why_in_chinese(browser: Any, relay: Any, board: Any) -> None:
    """What we say of a failure is translated, what the provider says is not."""
    pages = []
    for message in ("our disk: permission denied", "the provider says: no such run"):
        run_id = await relay.run(board)
        problem = Problem(code="odd", message=message, family=Family.UNKNOWN)
        await record(relay.store, run_id, PreparationFailed(shot_id="s1", problem=problem, until=None))
        pages.append((await browser.get(f"/runs/{run_id}/shots/s1", headers=ZH)).text)
    ours, theirs = pages

    assert "本机磁盘：没有权限（odd）" in ours
    assert "供应商说：no such run (odd)" in theirs


async def test_the_page_writes_days_as_the_reader_does(browser: Any, relay: Any, board: Any) -> None:
    """Where no script tells them in the reader's zone; programs find the same moment in both."""
    run_id = await relay.run(board)
    english = (await browser.get(f"/runs/{run_id}")).text
    chinese = (await browser.get(f"/runs/{run_id}", headers=ZH)).text

    assert re.search(r"[0-9]{4}年[0-9]{1,2}月[0-9]{1,2}日 [0-9]{2}:[0-9]{2} UTC", chinese)
    assert re.search(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2} UTC", english)
    assert set(re.findall(r'datetime="[^"]+"', english)) & set(re.findall(r'datetime="[^"]+"', chinese))


def test_an_id_that_a_sentence_begins_with_stays_small_in_chinese() -> None:
    sentence = "brake is made as it is written now"
    with reading("zh"):
        assert _sentence(sentence) == _sentence(translate(sentence)) == "brake 按现在的写法制作。"
        assert _sentence("没有运行 run_zzz") == _sentence("there is no run run_zzz") == "没有运行 run_zzz。"
        assert _sentence("the provider says: Sorry, not today.") == "供应商说：Sorry, not today."
    assert _sentence(sentence) == "Brake is made as it is written now."
