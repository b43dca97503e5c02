"""How a file gets to a provider: posted among fields, or put to an address that the provider signs for it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from framerelay.config.urls import host_of
from framerelay.runs.errors import UpstreamAnswerUnreadable
from framerelay.upstream.paths import read_path
from framerelay.upstream.profile_media import Upload
from framerelay.upstream.template import fill


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadFile:
    """A file as it is sent, under a made-up name."""

    name: str
    content: bytes
    media_type: str


class Sender(Protocol):
    """What an upload needs of the client."""

    async def post_upload(self, address: str, **content: Any) -> dict[str, object]: ...
    async def send_elsewhere(self, method: str, address: str, **content: Any) -> None: ...


UploadKind = Callable[[Sender, Upload, UploadFile, Mapping[str, object]], Awaitable[dict[str, object]]]


async def _multipart(
    sender: Sender, upload: Upload, file: UploadFile, words: Mapping[str, object]
) -> dict[str, object]:
    """The file among fields, in one POST."""
    fields = {name: str(fill(value, words)) for name, value in upload.fields.items()}
    parts = {upload.file: (file.name, file.content, file.media_type)}
    return await sender.post_upload(upload.post, data=fields, files=parts)


async def _put_url(sender: Sender, upload: Upload, file: UploadFile, words: Mapping[str, object]) -> dict[str, object]:
    """A POST that returns a signed address, and a PUT of the bytes there."""
    document = await sender.post_upload(upload.post, json=fill(upload.body, words))
    address = _address(upload.put, document)
    await sender.send_elsewhere("PUT", address, content=file.content, headers={"Content-Type": file.media_type})
    return document


async def _form(sender: Sender, upload: Upload, file: UploadFile, words: Mapping[str, object]) -> dict[str, object]:
    """A POST that returns a signed form, and a POST of the file there with its fields."""
    document = await sender.post_upload(upload.post, json=fill(upload.body, words))
    fields = read_path(upload.form or "fields").find(document, document)
    data = {str(key): str(value) for key, value in fields.items()} if isinstance(fields, Mapping) else {}
    parts = {upload.file: (file.name, file.content, file.media_type)}
    await sender.send_elsewhere("POST", _address(upload.put, document), data=data, files=parts)
    return document


def _address(path: str | None, document: Mapping[str, object]) -> str:
    address = read_path(path or "upload_url").find(document, document)
    is_address = isinstance(address, str) and address.startswith(("https://", "http://")) and host_of(address)
    if not isinstance(address, str) or not is_address:
        raise UpstreamAnswerUnreadable("the answer to the upload names no address for the bytes")
    return address


UPLOADS: Final[Mapping[str, UploadKind]] = {"multipart": _multipart, "put_url": _put_url, "form": _form}
