"""Addresses that strangers name: in every spelling, those that lead inside are refused before a byte is sent."""

import ssl
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest

from framerelay.media.download import DownloadLimits, download
from framerelay.network.client import guarded_client
from framerelay.runs.errors import AddressForbidden, DownloadInterrupted, FrameRelayError
from tests.security.trap import resolver, trap

pytestmark = pytest.mark.anyio

ONCE = DownloadLimits(total_s=10, stall_s=2, tries=1)
NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # Reading the usual ones takes longer than a test.

# As of 2026, IANA's registries of special addresses; each block is tried at its first and its last address.
SPECIAL_V4 = """
    0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24
    192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 192.175.48.0/24 198.18.0.0/15 198.51.100.0/24
    203.0.113.0/24 224.0.0.0/4 233.252.0.0/24 240.0.0.0/4 255.255.255.255/32
"""
SPECIAL_V6 = """
    ::/128 ::1/128 ::/96 ::ffff:0:0:0/96 64:ff9b:1::/48 100::/64 100:0:0:1::/64 2001::/32 2001:1::1/128 2001:1::2/128
    2001:2::/48 2001:3::/32 2001:4:112::/48 2001:10::/28 2001:20::/28 2001:30::/28 2001:db8::/32 2002::/16
    2620:4f:8000::/48 3fff::/20 5f00::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8
"""
METADATA = """
    169.254.169.254 169.254.170.2 169.254.170.23 169.254.169.253 169.254.169.123 169.254.0.23 169.254.42.42
    100.100.100.200 168.63.129.16 192.0.0.192 10.96.0.1 172.17.0.1
    fd00:ec2::254 fd00:ec2::23 fd00:ec2::253 fd20:ce::254 fd00:c1::a9fe:a9fe fd00:42::42 fe80::a9fe:a9fe
"""
NAMES = {
    "localhost": ["127.0.0.1", "::1"],
    "ip6-localhost": ["::1"],
    "localhost.localdomain": ["127.0.0.1"],
    "metadata": ["169.254.169.254"],
    "metadata.google.internal": ["169.254.169.254"],
    "metadata.tencentyun.com": ["169.254.0.23"],
    "instance-data.ec2.internal": ["169.254.169.254"],
    "kubernetes.default.svc": ["10.96.0.1"],
    "host.docker.internal": ["192.168.65.254"],
    "redis": ["172.18.0.2"],
    "127.0.0.1.nip.example": ["127.0.0.1"],
    "spoofed.burp.example": ["127.0.0.1"],
    "xn--mnchen-3ya.example": ["10.1.2.3"],
}
SPELLINGS = """
    2130706433 017700000001 0x7f000001 0X7F000001 0x7F.1 127.1 127.0.1 0177.1 0177.0.0.1 0x7f.0.0.1 0x7f.0x0.0x0.0x1
    0177.0x0.0.1 127.0x1 127.00.00.01 127.000.000.001 0127.0.0.1 00000000177.0.0.1 127.0.0.1.. 127..0.0.1
    .127.0.0.1 0 0x0 0.0 00.00.00.00 0xa9fea9fe 2852039166 0251.0376.0251.0376 0xa9.254.0xa9fe 169.16689662
    169.254.43518 425.510.425.510 256.256.256.256
    １２７.0.0.1 １２７。０。０。１ 127。0。0。1 127．0．0．1 127｡0｡0｡1 ①②⑦.⓪.⓪.① ⑯⑨.②⑤④.⑯⑨.②⑤④ ¹²⁷.0.0.1 ١٢٧.٠.٠.١
    ⓛⓞⓒⓐⓛⓗⓞⓢⓣ ｌｏｃａｌｈｏｓｔ localho\u017ft LOCALHOST LocalHost. local\u00adhost
    %31%32%37.0.0.1 127%2e0%2e0%2e1 %31%36%39%2e254.169.254 127.0.0.1%00 127.0.0.1%00.example.com
    127.0.0.1%2eexample.com 127.0.0.1%20 127.0.0.1%09 127.0.0.1%0a%0d 127.0.0.1%252eexample.com
    %6c%6f%63%61%6c%68%6f%73%74 127.0.0.1;example.com 127.0.0.1&example.com 127.0.0.1,example.com
    127.0.0.1|example.com $(hostname) *.example.com 127.0.0.1+
    [::1] [::] [0:0:0:0:0:0:0:1] [0000:0000:0000:0000:0000:0000:0000:0001] [::0001] [::1%25lo] [::1%lo] [::1%251]
    [fe80::1%25eth0] [fe80::1%2] [fe80::a9fe:a9fe%25eth0] [127.0.0.1] [::127.0.0.1] [::ffff:127.0.0.1] [::ffff:7f00:1]
    [::ffff:0x7f000001] [0:0:0:0:0:ffff:127.0.0.1] [::FFFF:A9FE:A9FE] [::ffff:127.1] [v1.fe80] [::1 ::1]] [[::1]]
"""
NOWHERE = "127.0.0.1. 4294967296 6425673729 0x17f000001 7147006462 -1 1e3 127.0.0.1e0 १२७.०.०.१ no.example"
WHOLE = [
    "https://good@127.0.0.1/",
    "https://good.example@127.0.0.1/",
    "https://good.example:443@127.0.0.1/",
    "https://good.example%40127.0.0.1/",
    "https://good.example%2f@127.0.0.1/",
    "https://good.example&@127.0.0.1#@other.example/",
    "https://127.0.0.1@good.example/",
    "https://:secret@good.example/",
    "https://@@127.0.0.1/",
    "https://good.example\\@127.0.0.1/",
    "https://good.example\\.127.0.0.1/",
    "https://127.0.0.1\\@good.example/",
    "https:\\\\127.0.0.1\\",
    "https:/\\127.0.0.1/",
    "https:127.0.0.1/",
    "https:/127.0.0.1/",
    "https:///127.0.0.1/",
    "https:////127.0.0.1/",
    "https://127.0.0.1\t/",
    "https://127.0\t.0.1/",
    "https://127.0.0.1\n/",
    "https://127.0.0.1\r\nHost: good.example/",
    "https://127.0.0.1\x00.good.example/",
    "https://127.0.0.1\x0b/",
    " https://127.0.0.1/",
    "\thttps://127.0.0.1/",
    "\nhttps://127.0.0.1/",
    "https://127.0.0.1 /",
    "https://127.0.0.1\u3000/",
    "https://127.0.0.1\u200b/",
    "https://127.0.0.1#@good.example/",
    "https://127.0.0.1?@good.example/",
    "https://127.0.0.1;@good.example/",
    "https://127.0.0.1／good.example/",
    "https://good.example／@127.0.0.1/",
    "https://good.example＠127.0.0.1/",
    "https://127.0.0.1:443:443/",
    "https://127.0.0.1:443@good.example/",
    "https://127.0.0.1:/",
    "https://127.0.0.1:443/",
    "https://127.0.0.1:00443/",
    "https://127.0.0.1:６３７９/",
    "HTTPS://127.0.0.1/",
    "hTTps://LOCALHOST:443/",
    "//127.0.0.1/",
    "127.0.0.1",
    "127.0.0.1:6379",
    "localhost/",
    "?https://good.example/",
    "",
]
SCHEMES = """
    file:///etc/passwd file://localhost/etc/passwd file:/etc/passwd file:etc/passwd FILE:///etc/passwd
    gopher://8.8.8.8:6379/_FLUSHALL ftp://8.8.8.8/v.mp4 ftps://8.8.8.8/ sftp://8.8.8.8/ tftp://8.8.8.8/ dict://8.8.8.8/
    ldap://8.8.8.8/ smb://8.8.8.8/share ws://8.8.8.8/ wss://8.8.8.8/ rtsp://8.8.8.8/ rtmp://8.8.8.8/ udp://8.8.8.8:53
    unix:/run/redis.sock unix:///run/redis.sock http+unix://%2Frun%2Fdocker.sock/info https+unix://%2Frun%2Fredis.sock/
    data:video/mp4;base64,AAAA data:,x javascript:alert(1) blob:https://8.8.8.8/x about:blank jar:https://8.8.8.8!/
    concat:https://8.8.8.8|file:///etc/passwd subfile:///etc/passwd pipe:0 crypto:https://8.8.8.8/ hls+https://8.8.8.8/
    redis://8.8.8.8:6379/0 mailto:a@b.example view-source:https://8.8.8.8/ httpss://8.8.8.8/ h://8.8.8.8/
"""
PORTS = (0, 1, 22, 25, 80, 444, 2375, 3306, 5432, 6379, 8080, 8443, 9200, 11211, 65535)


def edges(blocks: str) -> Iterator[str]:
    """The first and the last address of each block."""
    for block in map(ip_network, blocks.split()):
        yield from dict.fromkeys((str(block[0]), str(block[-1])))


def disguises(inside: str) -> Iterator[Any]:
    """An IPv4 address inside IPv6 ones, in every way that a host or a router on the way may unpack."""
    v4 = int(IPv4Address(inside))
    for name, value in {
        "mapped": 0xFFFF << 32 | v4,
        "compatible": v4,
        "translated": 0xFFFF << 48 | v4,
        "nat64": 0x0064_FF9B << 96 | v4,
        "nat64, local": 0x0064_FF9B_0001 << 80 | v4,
        "6to4": 0x2002 << 112 | v4 << 80 | 1,
        "teredo, client": 0x2001_0000_4136_E378_8000_63BF << 32 | v4 ^ 0xFFFF_FFFF,
        "teredo, server": 0x2001_0000 << 96 | v4 << 64 | 0xFFFF_FFFF,
        "isatap, local": 0xFE80 << 112 | 0x5EFE << 32 | v4,
        "isatap, private": 0x2606_4700 << 96 | 0x5EFE << 32 | v4,
        "isatap, public": 0x2606_4700 << 96 | 0x0200_5EFE << 32 | v4,
    }.items():
        yield pytest.param(str(IPv6Address(value)), id=f"{name} {inside}")


def url_of(address: str) -> str:
    return f"https://[{address}]/clip.mp4" if ":" in address else f"https://{address}/clip.mp4"


async def assert_refused(
    url: str, folder: Path, patch: pytest.MonkeyPatch, error: type[FrameRelayError] = AddressForbidden
) -> None:
    """Ask for *url* as a task does; nobody may have heard of it."""
    resolve = resolver({**NAMES, "good.example": ["8.8.8.8"]})
    async with trap(patch) as the_trap, guarded_client(resolve=resolve, ssl_context=NO_AUTHORITIES) as client:
        with pytest.raises(error):
            await download(url, folder / "clip.mp4", client=client, limits=ONCE)
    assert the_trap.is_untouched, f"dialled {the_trap.dials}"
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("address", [*edges(SPECIAL_V4), *edges(SPECIAL_V6)])
async def test_special_address_is_refused(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every block that a registry sets aside, at both of its ends."""
    await assert_refused(url_of(address), tmp_path, monkeypatch)


@pytest.mark.parametrize("address", METADATA.split())
async def test_metadata_service_is_refused(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of all large clouds, public numbers that only lead inside among them, and two that containers reach."""
    await assert_refused(url_of(address), tmp_path, monkeypatch)


@pytest.mark.parametrize(
    "address",
    [
        each
        for inside in ("127.0.0.1", "10.0.0.1", "169.254.169.254", "100.100.100.200", "168.63.129.16")
        for each in disguises(inside)
    ],
)
async def test_ipv4_inside_ipv6_is_refused(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's own predicates take several of these for global."""
    await assert_refused(url_of(address), tmp_path, monkeypatch)


@pytest.mark.parametrize("host", SPELLINGS.split())
async def test_host_in_another_spelling_is_refused(host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a resolver, a browser or an older C library makes of it."""
    await assert_refused(f"https://{host}/clip.mp4", tmp_path, monkeypatch)


@pytest.mark.parametrize("host", NOWHERE.split())
async def test_host_that_is_no_address_at_all_leads_nowhere(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A number too large for an address is a name like any other, and nobody answers for it."""
    await assert_refused(f"https://{host}/clip.mp4", tmp_path, monkeypatch, DownloadInterrupted)


@pytest.mark.parametrize("name", NAMES)
async def test_name_that_leads_inside_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts is the address, so no list of names is needed."""
    await assert_refused(f"https://{name}/clip.mp4", tmp_path, monkeypatch)


@pytest.mark.parametrize("url", WHOLE, ids=repr)
async def test_url_that_readers_disagree_about_is_refused(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """User names, backslashes, control characters, fragments: one reader sees another host than the next."""
    await assert_refused(url, tmp_path, monkeypatch)


@pytest.mark.parametrize("url", SCHEMES.split())
async def test_other_scheme_is_refused(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the address is public."""
    await assert_refused(url, tmp_path, monkeypatch)


@pytest.mark.parametrize("port", PORTS)
async def test_other_port_is_refused(port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A public host has more than a web server; nobody's mail or database is spoken to."""
    await assert_refused(f"https://good.example:{port}/clip.mp4", tmp_path, monkeypatch)


@pytest.mark.parametrize(
    "url", ["http://8.8.8.8/", "http://good.example/", "http://good.example:443/", "HTTP://8.8.8.8:80"]
)
async def test_plain_http_is_refused(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes over it could have been made by anyone on the way."""
    await assert_refused(url, tmp_path, monkeypatch)


def test_there_are_enough_addresses() -> None:
    """The promise is 150 forms at least; a list that shrinks by accident is noticed."""
    lists = [
        edges(SPECIAL_V4),
        edges(SPECIAL_V6),
        disguises("127.0.0.1"),
        METADATA.split(),
        SPELLINGS.split(),
        SCHEMES.split(),
    ]
    assert sum(len(list(each)) for each in (*lists, NAMES, WHOLE, PORTS)) > 300


@pytest.mark.parametrize(
    ("host", "address_dialled"),
    [
        ("8.8.8.8", "8.8.8.8"),
        ("1.1.1.1", "1.1.1.1"),
        ("good.example", "8.8.8.8"),
        ("GOOD.example.", "8.8.8.8"),
        ("[2606:4700:4700::1111]", "2606:4700:4700::1111"),
        ("[2a00:1450:4001:81b::200e]", "2a00:1450:4001:81b::200e"),
        ("[64:ff9b::8.8.8.8]", "64:ff9b::808:808"),
        ("[::ffff:8.8.8.8]", "::ffff:8.8.8.8"),
        ("134744072", "8.8.8.8"),
        ("münchen.example", "9.9.9.9"),
        ("under_score.example", "9.9.9.9"),
        ("100.63.255.255", "100.63.255.255"),
        ("172.32.0.1", "172.32.0.1"),
        ("192.169.0.1", "192.169.0.1"),
    ],
)
async def test_public_address_is_dialled(
    host: str, address_dialled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other half of the promise, and the proof that the trap sees what passes: a connection, and a first byte."""
    resolve = resolver(
        {"good.example": ["8.8.8.8"], "xn--mnchen-3ya.example": ["9.9.9.9"], "under_score.example": ["9.9.9.9"]}
    )
    async with trap(monkeypatch) as the_trap, guarded_client(resolve=resolve, ssl_context=NO_AUTHORITIES) as client:
        with pytest.raises(DownloadInterrupted):  # The trap does not speak TLS.
            await download(f"https://{host}/clip.mp4", tmp_path / "clip.mp4", client=client, limits=ONCE)
    assert [(ip_address(address), port) for address, port in the_trap.dials] == [(ip_address(address_dialled), 443)]
    assert the_trap.connections == 1
    assert the_trap.bytes > 0


@pytest.mark.parametrize("entry", ["inside.example", "inside.example:8443", "10.0.0.5", "[fd00::5]:80"])
async def test_trusted_host_is_dialled(entry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one exception: what a person named, and only that."""
    host, _, port = entry.partition(":") if entry[0] != "[" else entry.rpartition(":")
    scheme = "http" if port == "80" else "https"
    resolve = resolver({"inside.example": ["10.0.0.5"]})
    async with (
        trap(monkeypatch) as the_trap,
        guarded_client(frozenset({entry}), resolve=resolve, ssl_context=NO_AUTHORITIES) as client,
    ):
        with pytest.raises(DownloadInterrupted):
            await download(f"{scheme}://{entry}/clip.mp4", tmp_path / "clip.mp4", client=client, limits=ONCE)
        before = list(the_trap.dials)
        for other in (f"https://other.{host.strip('[]')}/", "https://10.0.0.6/", "https://[fd00::6]/"):
            with pytest.raises((AddressForbidden, DownloadInterrupted)):
                await download(other, tmp_path / "clip.mp4", client=client, limits=ONCE)
    assert before == [("fd00::5" if port == "80" else "10.0.0.5", int(port or 443))]
    assert the_trap.dials == before
    assert the_trap.connections == 1
