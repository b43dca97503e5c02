"""Who reads what: by the header of a request, by the environment of a command."""

import pytest

from framerelay.languages.reader import language_of_tag, of_environment, of_header


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-US,en;q=0.9,zh;q=0.8", "en"),
        ("de, fr;q=0.9, zh;q=0.1", "zh"),
        ("en;q=0.1, zh;q=0.9", "zh"),
        ("zh;q=0, en", "en"),
        ("ZH-hans", "zh"),
        ("de", None),
        ("*", None),
        ("", None),
        (None, None),
        ("zh;q=nonsense", None),
        ("zh;q=", "zh"),
        (",;q=1,,", None),
        ("zhongwen", None),
    ],
    ids=str,
)
def test_the_header_is_read_by_its_weights(header: str | None, code: str | None) -> None:
    assert of_header(header) == code


@pytest.mark.parametrize(
    ("environment", "code"),
    [
        ({"FRAMERELAY_LANG": "zh"}, "zh"),
        ({"FRAMERELAY_LANG": "en", "LANG": "zh_CN.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LC_ALL": "C", "LANG": "zh_CN.UTF-8"}, "en"),
        ({"LC_MESSAGES": "zh_CN", "LANG": "en_US.UTF-8"}, "zh"),
        ({"FRAMERELAY_LANG": "xx", "LANG": "zh_TW"}, "zh"),
        ({"LC_ALL": "", "LANG": "zh_CN"}, "zh"),
        ({}, "en"),
    ],
    ids=str,
)
def test_the_environment_is_read_in_its_order(environment: dict[str, str], code: str) -> None:
    assert of_environment(environment) == code


def test_a_tag_is_read_by_its_language() -> None:
    assert [language_of_tag(tag) for tag in ("zh_CN.UTF-8", "zh", "en-GB")] == ["zh", "zh", "en"]
    assert [language_of_tag(tag) for tag in ("C.UTF-8", "zht", None)] == [None, None, None]
