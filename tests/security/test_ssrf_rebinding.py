"""Name servers that lie: what is connected to is what was checked, however the answers change or mix."""

import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest

import framerelay.media.download
from framerelay.media.download import DownloadLimits, download
from framerelay.network.client import guarded_client
from framerelay.runs.errors import AddressForbidden, DownloadInterrupted, FrameRelayError
from tests.security.trap import Trap, trap

pytestmark = pytest.mark.anyio

URL = "https://media.example/clip.mp4"
NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pause between tries is not what is tested."""
    monkeypatch.setattr(framerelay.media.download, "PAUSE_S", 0.001)


async def ask(
    answers: Sequence[Sequence[str]],
    folder: Path,
    patch: pytest.MonkeyPatch,
    error: type[FrameRelayError],
    *,
    tries: int = 1,
) -> tuple[Trap, int]:
    """Fetch `URL` from a name server that gives *answers* in turn; also how often it was asked."""
    answers_given: list[Sequence[str]] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        answers_given.append(answers[len(answers_given)])
        return answers_given[-1]

    limits = DownloadLimits(total_s=10, stall_s=2, tries=tries)
    async with trap(patch) as the_trap, guarded_client(resolve=resolve, ssl_context=NO_AUTHORITIES) as client:
        with pytest.raises(error):
            await download(URL, folder / "clip.mp4", client=client, limits=limits)
    return the_trap, len(answers_given)


@pytest.mark.parametrize(
    "addresses",
    [
        ["8.8.8.8", "127.0.0.1"],
        ["127.0.0.1", "8.8.8.8"],
        ["8.8.8.8", "1.1.1.1", "169.254.169.254", "9.9.9.9"],
        ["2606:4700:4700::1111", "10.0.0.5"],
        ["8.8.8.8", "::1"],
        ["8.8.8.8", "fe80::1%2"],
        ["8.8.8.8", "fd00:ec2::254"],
        ["8.8.8.8", "::ffff:127.0.0.1"],
        ["8.8.8.8", "64:ff9b::a9fe:a9fe"],
        ["8.8.8.8", "0.0.0.0"],
        ["8.8.8.8"] * 50 + ["192.168.1.1"],
    ],
    ids=lambda each: " ".join(each[-4:]),
)
async def test_one_forbidden_address_among_public_ones_refuses_the_name(
    addresses: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also A against AAAA: which of them is tried first, and second after a failure, is not left to luck."""
    the_trap, _ = await ask([addresses], tmp_path, monkeypatch, AddressForbidden)
    assert the_trap.is_untouched


async def test_second_answer_is_not_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the check and the connection no name server is asked, so it cannot answer otherwise there."""
    the_trap, times = await ask([["8.8.8.8"], ["127.0.0.1"]], tmp_path, monkeypatch, DownloadInterrupted)
    assert (the_trap.dials, times) == ([("8.8.8.8", 443)], 1)


async def test_each_further_try_is_checked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first address cuts the connection; at the second try the name leads inside, and that ends it."""
    answers = [["8.8.8.8"], ["1.1.1.1"], ["127.0.0.1"], ["8.8.8.8"]]
    the_trap, times = await ask(answers, tmp_path, monkeypatch, AddressForbidden, tries=4)
    assert (the_trap.dials, times) == ([("8.8.8.8", 443), ("1.1.1.1", 443)], 3)


async def test_name_without_an_address_leads_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that holds nothing is no permission."""
    the_trap, _ = await ask([[]], tmp_path, monkeypatch, DownloadInterrupted)
    assert the_trap.is_untouched
