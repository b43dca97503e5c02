"""What data cannot say of a provider: tokens that are made of a key, and the ways in which files are uploaded."""

import base64
import email
import email.policy
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.responses import JSONResponse, Response

from framerelay.runs.errors import RequestInvalid, UpstreamAnswerUnreadable, UpstreamRejected, UpstreamUnavailable
from framerelay.upstream.client import JobsClient
from framerelay.upstream.hooks import auth_headers
from framerelay.upstream.hooks.auth import jwt_hs256
from framerelay.upstream.profile import Auth, Profile
from framerelay.upstream.profile_file import load_shipped
from framerelay.upstream.profile_media import Media, Upload

CONTENT = bytes(range(256)) * 4000 + b"\r\n--boundary--\r\n"
KEY = "sk-a-key-of-the-provider"

# printf '%s' 'HEADER.CLAIMS' | openssl dgst -sha256 -hmac SECRET-KEY -binary | basenc --base64url, the padding cut off.
JWT = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"
    ".eyJpc3MiOiJBQ0NFU1MtS0VZIiwiZXhwIjoxNzAwMDAxODAwLCJuYmYiOjE2OTk5OTk5OTV9"
    ".oJBuQzJvciKX-PINWSGPpPgmoGee9PnfbPmdoOLwWkI"
)


def test_a_token_is_what_openssl_makes_of_the_key() -> None:
    """Half an hour from now, and valid a little before it, for clocks that are behind."""
    assert jwt_hs256("ACCESS-KEY:SECRET-KEY", now=1_700_000_000.9) == JWT


@pytest.mark.parametrize("key", ["ACCESS-KEY|SECRET-KEY", "ACCESS-KEY,SECRET-KEY"])
def test_other_ways_to_write_two_keys_in_one_are_known(key: str) -> None:
    """As other tools for the same provider have them; the secret itself may hold any of these."""
    assert jwt_hs256(key, now=1_700_000_000) == JWT
    odd = jwt_hs256("A:b:c|d", now=1_700_000_000)
    message, _, signature = odd.rpartition(".")
    mine = base64.urlsafe_b64encode(hmac.new(b"b:c|d", message.encode(), hashlib.sha256).digest()).rstrip(b"=")
    assert signature == mine.decode()
    assert json.loads(base64.urlsafe_b64decode(message.split(".")[1] + "==")) == {
        "iss": "A",
        "exp": 1_700_001_800,
        "nbf": 1_699_999_995,
    }


def test_a_key_that_is_one_word_is_an_api_key() -> None:
    """It is sent as it is; one that lacks its first half is refused, and not shown."""
    assert jwt_hs256("api-key-of-one-word", now=0) == "api-key-of-one-word"
    with pytest.raises(RequestInvalid) as failure:
        jwt_hs256(":SECRET-KEY", now=0)
    assert "SECRET-KEY" not in str(failure.value).replace("ACCESS_KEY:SECRET_KEY", "")


def test_the_key_goes_where_the_profile_says() -> None:
    """Into its header, among its words."""
    assert auth_headers(Auth(), KEY) == {"Authorization": f"Bearer {KEY}"}
    assert auth_headers(Auth(header="X-Key", value="Key {key}"), KEY) == {"X-Key": f"Key {KEY}"}
    (header,) = auth_headers(Auth(hook="jwt_hs256"), "A:S").values()
    assert header.startswith("Bearer eyJ")


# --- uploads -----------------------------------------------------------------------------------------------------


def uploading(**upload: Any) -> Profile:
    """A gateway that takes files so."""
    return msgspec.structs.replace(load_shipped("ark"), media=Media(accepts=["upload"], upload=Upload(**upload)))


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A file of bytes that nothing may change."""
    path = tmp_path / "last frame.png"
    path.write_bytes(CONTENT)
    return path


async def upload(provider: Any, profile: Profile, picture: Path) -> str:
    async with JobsClient(provider.url, KEY, profile=profile) as client:
        return await client.upload(picture, kind="image", purpose="reference")


def parts_of(headers: dict[str, str], body: bytes) -> dict[str, Any]:
    """The parts of a form, read by the standard library."""
    head = f"Content-Type: {headers['content-type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + body, policy=email.policy.HTTP)
    return {part.get_param("name", header="content-disposition"): part for part in message.iter_parts()}


def elsewhere(provider: Any, path: str = "/bucket/signed?signature=x%2Fy") -> str:
    """The same server by another name: a host that is not the provider's."""
    return str(provider.url.replace("127.0.0.1", "localhost") + path)


@pytest.mark.anyio
async def test_a_file_among_fields_arrives_whole(provider: Any, picture: Path) -> None:
    """Under a made-up name with its ending and type; with the key, at the provider."""
    provider.answers = [JSONResponse({"data": {"link": "https://files.example/1.png"}})]
    profile = uploading(
        kind="multipart", post="/files", file="upload", fields={"type": "{kind}", "for": "{purpose}"}, url="data.link"
    )

    assert await upload(provider, profile, picture) == "https://files.example/1.png"
    ((method, path, headers, body),) = provider.requests
    assert (method, path, headers["authorization"]) == ("POST", "/files", f"Bearer {KEY}")
    parts = parts_of(headers, body)
    assert {name: parts[name].get_content() for name in ("type", "for")} == {"type": "image", "for": "reference"}
    assert parts["upload"].get_payload(decode=True) == CONTENT
    assert parts["upload"].get_content_type() == "image/png"
    assert "last frame" not in parts["upload"].get_filename()
    assert parts["upload"].get_filename().endswith(".png")


@pytest.mark.anyio
async def test_bytes_are_put_to_a_signed_address_without_our_key(provider: Any, picture: Path) -> None:
    """The key goes to the provider, which signs an address somewhere else."""
    answer = {"data": {"upload_url": elsewhere(provider), "file": {"id": 42}}}
    provider.answers = [JSONResponse(answer), Response(status_code=200)]
    profile = uploading(
        kind="put_url",
        post="/sign",
        body={"name": "{name}", "type": "{type}"},
        put="data.upload_url",
        id="data.file.id",
    )

    assert await upload(provider, profile, picture) == "42"
    (_, path, headers, body), (method, put, bare, content) = provider.requests
    assert (path, headers["authorization"], json.loads(body)["type"]) == ("/sign", f"Bearer {KEY}", "image/png")
    assert (method, put) == ("PUT", "/bucket/signed")
    assert content == CONTENT
    assert bare["content-type"] == "image/png"
    assert bare["content-length"] == str(len(CONTENT))
    assert KEY not in json.dumps(bare)
    assert "authorization" not in bare


@pytest.mark.anyio
async def test_a_signed_form_is_posted_with_its_fields_and_without_our_key(provider: Any, picture: Path) -> None:
    """The file goes last, as such forms want it."""
    answer = {"form": {"url": elsewhere(provider), "fields": {"policy": "p", "x-sig": "s"}}, "uri": "runway://1"}
    provider.answers = [JSONResponse(answer), Response(status_code=204)]
    profile = uploading(
        kind="form", post="/uploads", body={"filename": "{name}"}, put="form.url", form="form.fields", url="uri"
    )

    assert await upload(provider, profile, picture) == "runway://1"
    (_, _, headers, _), (method, _, bare, body) = provider.requests
    assert headers["authorization"] == f"Bearer {KEY}"
    parts = parts_of(bare, body)
    assert method == "POST"
    assert list(parts) == ["policy", "x-sig", "file"]
    assert parts["file"].get_payload(decode=True) == CONTENT
    assert KEY not in json.dumps(bare) + body.decode("latin-1")


@pytest.mark.anyio
@pytest.mark.parametrize("address", [None, "", 7, "ftp://files.example/x", "file:///etc/passwd", "//files.example/x"])
async def test_an_answer_without_an_address_sends_the_bytes_nowhere(
    provider: Any, picture: Path, address: object
) -> None:
    """And says so."""
    provider.answers = [JSONResponse({"upload_url": address})]
    with pytest.raises(UpstreamAnswerUnreadable, match="names no address for the bytes"):
        await upload(provider, uploading(kind="put_url", post="/sign"), picture)
    assert len(provider.requests) == 1


@pytest.mark.anyio
@pytest.mark.parametrize(("status", "error"), [(403, UpstreamRejected), (503, UpstreamUnavailable)])
async def test_what_the_signed_address_refuses_is_no_upload(
    provider: Any, picture: Path, status: int, error: type[Exception]
) -> None:
    """The file is not named to the provider as if it were there."""
    provider.answers = [JSONResponse({"upload_url": elsewhere(provider), "id": "1"}), Response(status_code=status)]
    with pytest.raises(error):
        await upload(provider, uploading(kind="put_url", post="/sign", id="id"), picture)


@pytest.mark.anyio
async def test_the_key_is_not_sent_to_an_address_that_an_upload_names_in_the_profile_of_others(
    provider: Any, picture: Path
) -> None:
    """A host that the profile does not name gets nothing at all."""
    with pytest.raises(UpstreamAnswerUnreadable, match="an address that is not its own: localhost"):
        await upload(provider, uploading(kind="multipart", post=elsewhere(provider, "/files")), picture)
    assert provider.requests == []


@pytest.mark.anyio
async def test_an_address_without_tls_is_not_that_of_a_provider_that_has_it() -> None:
    """The key would be readable on the way."""
    async with JobsClient("https://api.example.com", KEY, profile=load_shipped("fal")) as client:
        assert client.is_own("HTTPS://API.example.com/jobs/1")
        assert not client.is_own("http://api.example.com/jobs/1")
        assert not client.is_own("https://api.example.com.evil.example/jobs/1")
        assert not client.is_own(f"https://{load_shipped('fal').hosts[0]}/x"), "the key of a gateway is for that alone"
    async with JobsClient(load_shipped("fal").base, KEY, profile=load_shipped("fal")) as client:
        assert all(client.is_own(f"https://{host}/x") for host in load_shipped("fal").hosts)
    async with JobsClient("http://127.0.0.1:9", KEY) as client:
        assert client.is_own("http://127.0.0.1:9/jobs/1")
        assert not client.is_own("http://127.0.0.1:6379/jobs/1"), "another program of this machine"
        assert not client.is_own("http://127.0.0.1/jobs/1")
        assert not client.is_own("http://user:word@127.0.0.1:9/jobs/1"), "httpx would send that in place of the key"
