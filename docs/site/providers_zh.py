"""The words of the tables of providers in Chinese; names of keys and variables stay as they are."""

import re
from typing import Final

from framerelay.languages.catalogs import translate
from framerelay.languages.reader import CHINESE

_WORDS: Final = {
    "provider": "供应商",
    "completion": "如何得知任务完成",
    "last frame": "尾帧",
    "price known": "价格已知",
    "guessed, the rest is documented": "推测的部分，其余有文档",
    "tried by us": "我们试过",
    "callback": "回调",
    "signed callback": "签名回调",
    "callback, signed once you set the secret": "回调，设置密钥后验签",
    "polling": "轮询",
    "ours": "我们取的",
    "its own or ours": "它给的，或我们取的",
    "yes": "是",
    "no": "否",
    "nothing": "无",
    "scheme": "签名方式",
    "the usual variable of its secret": "通常存放密钥的变量",
    "none: it is checked by public keys": "无：用公钥验签",
}
_TITLE: Final = re.compile(r"^\[(.+?)\]")
_SOME: Final = re.compile(r"of (\d+) of (\d+) models")


def in_chinese(table: str, links: str) -> str:
    """*table* with Chinese words; *links*: how the address of a page of one provider begins."""
    lines = (
        " | ".join(map(_cell, line.removesuffix(" |").removeprefix("| ").split(" | "))) for line in table.splitlines()
    )
    rows = "".join(f"| {line} |\n" if not line.startswith("|") else f"{line}\n" for line in lines)
    return re.sub(r"\]\([^)]*?([\w-]+\.md)\)", rf"]({links}\1)", rows)


def _cell(words: str) -> str:
    if some := _SOME.fullmatch(words):
        return f"{some[2]} 个模型中的 {some[1]} 个"
    titled = _TITLE.sub(lambda title: f"[{translate(title[1], CHINESE)}]", words)
    return _WORDS.get(words, titled)
