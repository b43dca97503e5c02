"""Whatever editor a person saves a file with: what they meant is read, and what cannot be read is named."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import certifi
import pytest

from framerelay.config.env_file import SettingInvalid
from framerelay.config.keys import find_api_key, load_keys
from framerelay.config.misspellings import misspellings
from framerelay.config.settings import Settings, from_environment
from framerelay.config.text import text_of, trim
from framerelay.network.tls import tls_of
from framerelay.storyboards.hooks import read_hooks
from framerelay.storyboards.storyboard import read_storyboard
from framerelay.upstream.callback import parse_object
from framerelay.upstream.verifiers import read_verifiers

EDITORS = {
    "plain": str.encode,
    "with a byte order mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "with two of them": lambda text: b"\xef\xbb\xbf" * 2 + text.encode(),
    "with a mark and the line ends of Windows": lambda text: b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode(),
}


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no `.env` is but that of the test."""
    monkeypatch.chdir(tmp_path)


def settings_of(folder: Path, save: Callable[[str], bytes]) -> str:
    (folder / ".env").write_bytes(save("FRAMERELAY_UPSTREAM_KEY=sk-1\nFRAMERELAY_PORT=9001\n"))
    assert misspellings({}) == []
    settings = from_environment({})
    return f"{settings.upstream_key!s} {settings.port}"


def secret_file(folder: Path, save: Callable[[str], bytes]) -> str:
    (folder / "key").write_bytes(save("sk-1\n"))
    return str(from_environment({"FRAMERELAY_UPSTREAM_KEY_FILE": str(folder / "key")}).upstream_key)


def kept_key(folder: Path, save: Callable[[str], bytes]) -> str:
    settings = replace(Settings(), data_dir=folder)
    for name in ("api_key", "secret"):
        (folder / name).write_bytes(save("fr_kept\n"))
    assert str(load_keys(settings).secret) == "fr_kept"
    return str(find_api_key(settings))


def verify_secret(folder: Path, save: Callable[[str], bytes]) -> str:
    (folder / "framerelay.yaml").write_bytes(
        save("verify: {scheme: static, header: x-token, secret_file: ./secret}\nhooks: {mine: }\n")
    )
    (folder / "secret").write_bytes(save("shared-secret\n"))
    assert set(read_hooks(folder / "framerelay.yaml")) == {"mine"}
    return read_verifiers(folder / "framerelay.yaml", {}).secrets[0]


def storyboard(_: Path, save: Callable[[str], bytes]) -> str:
    yaml, json = (
        "title: 雨\nmodel: m\nshots: [{prompt: a}]\n",
        '{"title": "雨", "model": "m", "shots": [{"prompt": "a"}]}',
    )
    assert read_storyboard(save(json), form="json").title == "雨"
    return read_storyboard(save(yaml), form="yaml").title


def authorities(folder: Path, save: Callable[[str], bytes]) -> str:
    usual = Path(certifi.where()).read_text(encoding="ascii")
    one = usual[usual.index("-----BEGIN") : usual.index("-----END CERTIFICATE-----") + 26]
    (folder / "ca.pem").write_bytes(save(f"{one}\n# 我们的\n"))
    context = tls_of(replace(Settings(), ca_file=folder / "ca.pem"))
    return "trusted" if context and context.get_ca_certs() else "nothing"


FILES: list[tuple[Callable[[Path, Callable[[str], bytes]], str], str]] = [
    (settings_of, "sk-1 9001"),
    (secret_file, "sk-1"),
    (kept_key, "fr_kept"),
    (verify_secret, "shared-secret"),
    (storyboard, "雨"),
    (authorities, "trusted"),
]


@pytest.mark.parametrize("editor", EDITORS)
@pytest.mark.parametrize(("read", "text"), FILES)
def test_every_file_of_a_person_is_read_as_it_was_meant(
    tmp_path: Path, read: Callable[[Path, Callable[[str], bytes]], str], text: str, editor: str
) -> None:
    """A mark in front is no part of the first name, nor of a key that is sent to the provider."""
    assert read(tmp_path, EDITORS[editor]) == text


def test_a_body_with_a_mark_in_front_is_read() -> None:
    """A platform's callback, or a decision that somebody saved before they sent it."""
    assert parse_object('\ufeff{"id": "job_1"}'.encode()) == {"id": "job_1"}


def test_files_that_were_put_together_lose_no_variable(tmp_path: Path) -> None:
    """`cat a.env b.env > .env` leaves a mark in the middle; what was pasted may bring signs that nobody sees."""
    (tmp_path / ".env").write_text(
        "\ufeffFRAMERELAY_PORT=9001\n\ufeffFRAMERELAY_UPSTREAM_KEY=\u200bsk-1\u200b\n\u00a0\u2060FRAMERELAY_HOST=::1\n",
        encoding="utf-8",
    )
    settings = from_environment({})

    assert (settings.port, str(settings.upstream_key), settings.host) == (9001, "sk-1", "::1")
    assert misspellings({}) == []


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "gbk"])
def test_another_encoding_is_named_and_not_read_as_nothing(tmp_path: Path, encoding: str) -> None:
    """UTF-16 without a mark is valid UTF-8, with a NUL in each name: every setting would be lost without a word."""
    (tmp_path / ".env").write_bytes("FRAMERELAY_UPSTREAM_KEY=sk-1\n# 我们的\n".encode(encoding))
    with pytest.raises(SettingInvalid, match=r"\.env: it is not utf-8 text"):
        from_environment({})


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("FRAMERELAY_UPSTREAM_KEY: sk-1", ".env, line 2: there is no = in it"),
        ("FRAMERELAY_PORT＝9001", ".env, line 2: there is no = in it"),
        ("framerelay_port=9001", "framerelay_port is not a FrameRelay setting (did you mean FRAMERELAY_PORT?)"),
        ("FRAME_RELAY_PORT=9001", "FRAME_RELAY_PORT is not a FrameRelay setting (did you mean FRAMERELAY_PORT?)"),
        (
            "FRAMRELAY_UPSTREAM_KEY=x",
            "FRAMRELAY_UPSTREAM_KEY is not a FrameRelay setting (did you mean FRAMERELAY_UPST",
        ),
    ],
)
def test_a_line_without_effect_is_reported(tmp_path: Path, line: str, words: str) -> None:
    """However it was misspelled; the text itself may hold a key, and is shown nowhere."""
    (tmp_path / ".env").write_text(f"# ours\n{line}\nOTHER=1\nsource elsewhere\n", encoding="utf-8")

    sentence = "\n".join(misspellings({}))

    assert words in sentence
    assert "sk-1" not in sentence


def test_an_environment_variable_whose_name_begins_with_a_byte_order_mark_is_reported() -> None:
    """As a tool makes it that reads a file for us and does not know the mark."""
    (sentence,) = misspellings({"\ufeffFRAMERELAY_PORT": "1"})
    assert sentence.startswith("FRAMERELAY_PORT is not a FrameRelay setting: signs that nobody sees")


def test_only_the_ends_of_a_text_are_trimmed() -> None:
    """What joins signs within a word belongs to it."""
    assert trim("\ufeff \u200b👩\u200d👧 a\u200b\n") == "👩\u200d👧 a"
    assert text_of("\ufeffa\ufeffb".encode()) == "a\ufeffb"
