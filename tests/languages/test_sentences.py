"""Sentences of ours are found again, however they were composed; words of others stay as they are."""

from collections.abc import Iterator

import pytest

from framerelay.languages.catalogs import translate
from framerelay.languages.reader import CHINESE, language, reading
from framerelay.languages.sentences import Sentences
from framerelay.upstream.profile_file import load_shipped, profile_names


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("there is no run run_1", "没有运行 run_1"),
        ("There is no run run_1.", "没有运行 run_1。"),
        (
            "shot s1 is made again, and with it s2 and s3, for 3 jobs of the 5 left in the budget, about 1.50 USD; "
            "s2 waits for your approval first",
            "镜头 s1 重拍，连同 s2 和 s3，花费 3 个任务（预算剩下的 5 个之内），约 US$1.50；s2 要先等你批准",
        ),
        (
            'line 3, shots[0].promt: unknown key "promt" (did you mean "prompt"?)',
            '第 3 行，shots[0].promt：未知的键 "promt"（是不是 "prompt"？）',
        ),
        (
            "done: take 1 of 2, 5.04 s, 1280x720; begins with s1's last frame, seam 1.2 of 255; stale, since s1 is",
            "完成：第 1 次生成（共 2 次），5.04 秒，1280x720；从 s1 的尾帧开始，接缝差 1.2（最大 255）；"
            "已过时，因为 s1 过时了",
        ),
        ("generating, 0:40 of about 1:20", "生成中，0:40，预计 1:20"),
        (
            "line 4, notify_url: nothing would be sent there: a.b would be contacted without encryption; it is not a "
            "trusted host; a host of your own has to be named in FRAMERELAY_TRUSTED_HOSTS where FrameRelay runs",
            "第 4 行，notify_url：通知不会发到那里：访问 a.b 时没有加密；它不是可信主机；"
            "你自己的主机要写进 FrameRelay 所在机器的 FRAMERELAY_TRUSTED_HOSTS",
        ),
        ("hook mine, no job", "入口 mine，没有任务"),
        (
            "a receiver runs on vm (pid 1) and a worker runs on vm (pid 2): end that first (one that was killed is "
            "forgotten within 15 seconds)",
            "接收端在 vm 上运行（进程 1）和工作进程在 vm 上运行（进程 2）：先把它结束掉"
            "（被强行结束的，15 秒内就不再算在内）",
        ),
        ("waits for a free place at the film, 3rd", "等待 the film 的空位，排第 3"),
        ("expected a number above 0, found -1", "应为大于 0 的数，却是 -1"),
        ("there is no way to 10.0.0.1 (no route to host)", "没有通往 10.0.0.1 的路由（没有通往这台主机的路由）"),
        (
            "the provider cannot be reached; nothing was sent (ConnectError: All connection attempts failed)",
            "访问不到供应商；什么也没有发送（ConnectError：每次连接都失败了）",
        ),
        ("the submit left, and its answer was lost (ReadTimeout: 读)", "提交已发出，但响应丢了（ReadTimeout: 读）"),
        (
            "a callback about s1 or s2 (else a look-up in 12 s), then shot s3",
            "等待 s1 或 s2 的回调（否则 12 秒后查询），然后是镜头 s3",
        ),
    ],
)
def test_a_composed_sentence_is_translated(english: str, chinese: str) -> None:
    assert translate(english, CHINESE) == chinese


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("  kept: field, film and done", "  保留：field、film 和 done"),
        (
            "field is made as it is written now; 1 job to the end of the film",
            "field 按现在的写法制作；做到成片共 1 个任务",
        ),
        ("Shots film, s2 and done start when you approve.", "你批准后，镜头 film、s2 和 done 就开始。"),
        ("take 2 of shot film is picked already", "镜头 film 的第 2 次生成已选定"),
    ],
)
def test_a_shot_may_be_called_as_one_of_our_words(english: str, chinese: str) -> None:
    assert translate(english, CHINESE) == chinese


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("our disk: permission denied", "本机磁盘：没有权限"),
        (
            "the clip of shot film, take 1 is gone from the data folder: put it back from a backup, or retake the shot",
            "镜头 film 第 1 次生成的片段已不在数据文件夹里：请从备份放回去，或重拍这个镜头",
        ),
        (
            "cannot listen on 1.2.3.4:80: cannot assign requested address",
            "不能在 1.2.3.4:80 上监听：这台机器没有这个地址",
        ),
        ("film.yaml cannot be read: no such file or directory", "film.yaml 读不出来：没有这个文件或文件夹"),
        ("our disk: something that nobody knows", "本机磁盘：something that nobody knows"),
    ],
)
def test_what_is_wrong_with_a_disk_is_translated(english: str, chinese: str) -> None:
    assert translate(english, CHINESE) == chinese


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("the provider says: no such run; done, now", "供应商说：no such run; done, now"),
        ("failed: the provider says: Done. No job, no status", "失败：供应商说：Done. No job, no status"),
        ("HTTP 400 invalid: the film, failed; done", "HTTP 400 invalid: the film, failed; done"),
        (
            "fetching put off: HTTP 503: try again, now; again in 5 s",
            "取回片段暂缓：HTTP 503: try again, now；5 秒后再取",
        ),
        ("waits: the provider says: running, held", "等待：供应商说：running, held"),
        ('its status is "done; failed, now"', "它的状态是“done; failed, now”"),
        ('unknown key "done: no job"', '未知的键 "done: no job"'),
        ("Sorry, your account has been suspended for review", "Sorry, your account has been suspended for review"),
        ("霓虹雨夜", "霓虹雨夜"),
    ],
)
def test_words_of_others_stay_as_they_are(english: str, chinese: str) -> None:
    assert translate(english, CHINESE) == chinese


def test_what_providers_said_in_the_examples_of_profiles_stays() -> None:
    """Whatever is in an answer of any of them may be shown as the words of one."""
    texts = {
        text for name in profile_names() for example in load_shipped(name).examples for text in _texts(example.body)
    }
    assert len(texts) > 100
    for before, chinese in (("the provider says: ", "供应商说："), ("failed: HTTP 400: ", "失败：HTTP 400: ")):
        for text in texts:
            assert translate(before + text, CHINESE) == chinese + text


def _texts(value: object) -> Iterator[str]:
    match value:
        case str() if value.strip() == value and 1 < len(value) < 500 and "\n" not in value:
            yield value
        case list():
            for each in value:
                yield from _texts(each)
        case dict():
            for each in value.values():
                yield from _texts(each)


def test_english_readers_get_the_sentence_unchanged() -> None:
    sentence = "there is no run run_1"

    assert translate(sentence) is sentence
    with reading(CHINESE):
        assert translate(sentence) == "没有运行 run_1"
    assert language() == "en"


def test_the_most_literal_message_is_meant() -> None:
    """What a short message could swallow belongs to the long one."""
    catalog = {
        "take {number} is {status}": "{number}：{status}",
        "take {number} is done by {maker}": "{maker} {number}",
    }

    assert Sentences(catalog).translate("take 3 is done by kling") == "kling 3"


def test_a_measure_is_no_word() -> None:
    assert Sentences({"in {seconds}": "{seconds}后"}).translate("in hooks.yaml") == "in hooks.yaml"


@pytest.mark.parametrize(
    "hostile",
    [
        "; ".join(["take 1"] * 3000),
        ": " * 4000,
        "(" * 5000,
        "shot " * 1500,
        '"' * 7000,
        "done, " * 1300,
        "a; b: c, d. " * 600,
    ],
    ids=lambda text: text[:8],
)
def test_a_hostile_text_is_answered(hostile: str) -> None:
    """Providers' words come in here; no text may hold up the answer (the suite would not end)."""
    assert translate(hostile, CHINESE)


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("16:45 ago", "16 分钟前"),
        ("To watch it in a browser, too:", "也想在浏览器里看："),
        ("http://a.b does not answer as the jobs API does: HTTP 404", "http://a.b 的响应不像任务 API：HTTP 404"),
        (
            "line 3, provider: kling has no key here: set KLING_API_KEY (a, b)",
            "第 3 行，provider：kling 在这里没有密钥：请设置 KLING_API_KEY（a、b）",
        ),
        ('expected the word approve, found the text "ask"', '应为 approve 这个词，却是文字 "ask"'),
        (
            "the profile kling knows no model m-1 (the file says no more): it is asked for as it stands here (a, b)",
            "档案 kling 里没有模型 m-1（the file says no more）：会照这里写的原样提交（a、b）",
        ),
    ],
)
def test_a_key_a_colon_and_a_bracket_keep_a_sentence_whole(english: str, chinese: str) -> None:
    assert translate(english, CHINESE) == chinese
