"""
A stand-in for Google Cloud Storage: its XML API, as documented, with what obstore asks of it.

The emulators of it that can be had speak the JSON API; obstore speaks the other one, and puts large files in parts.
Each request is signed by a key of the tests' own, which is verified with its public half, as Google does it.
"""

import base64
import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from framerelay.cli.http import listening_on, serving

WHO: Final = "relay@films.test"
BUCKET: Final = "films"
CHANGED: Final = "Mon, 30 Nov 2026 04:00:00 GMT"
HOST: Final = "storage.googleapis.com"  # Links are signed for that, wherever it is reached.
SIGNATURE: Final = "X-Goog-Signature"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What is there."""

    content: bytes
    kind: str


@dataclass(slots=True)
class GoogleStorage:
    """One bucket; *key* signs for those who may use it."""

    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    url: str = ""
    objects: dict[str, StoredObject] = field(default_factory=dict)
    uploads: dict[str, tuple[str, dict[int, bytes]]] = field(default_factory=dict)

    def account(self, place: Path, *, key: rsa.RSAPrivateKey | None = None) -> Path:
        """The file that ``GOOGLE_APPLICATION_CREDENTIALS`` names."""
        pem = (key or self.key).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        about = {"type": "service_account", "client_email": WHO, "private_key_id": "1", "private_key": pem.decode()}
        place.write_text(json.dumps(about), encoding="utf-8")
        return place

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """At `url`, as long as the block."""
        routes = [Route("/{path:path}", self._answer, methods=["GET", "HEAD", "PUT", "POST", "DELETE"])]
        with listening_on("127.0.0.1", 0) as listener:
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            async with serving(Starlette(routes=routes), listener):
                yield

    async def _answer(self, request: Request) -> Response:
        if refusal := self._refusal(request):
            return _error(403, refusal)
        bucket, _, name = unquote(request.url.path).lstrip("/").partition("/")
        if bucket != BUCKET:
            return _error(404, "NoSuchBucket")
        if not name:
            return self._list(request.query_params.get("prefix", ""))
        match request.method:
            case "PUT":
                return self._put(name, await request.body(), request)
            case "POST":
                return self._post(name, request)
        if name not in self.objects:
            return _error(404, "NoSuchKey")
        if request.method == "DELETE":
            del self.objects[name]
            return Response(status_code=204)
        return _object_response(self.objects[name], request.headers.get("range"))

    def _refusal(self, request: Request) -> str | None:
        try:
            if SIGNATURE in request.query_params:
                self._verify(bytes.fromhex(request.query_params[SIGNATURE]), _string_to_sign(request))
            else:
                head, _, signature = request.headers.get("authorization", "").removeprefix("Bearer ").rpartition(".")
                self._verify(base64.urlsafe_b64decode(signature + "=="), head.encode())
        except (InvalidSignature, ValueError):
            return "SignatureDoesNotMatch"
        return None

    def _verify(self, signature: bytes, message: bytes) -> None:
        self.key.public_key().verify(signature, message, padding.PKCS1v15(), hashes.SHA256())

    def _put(self, name: str, content: bytes, request: Request) -> Response:
        if upload := request.query_params.get("uploadId"):
            self.uploads[upload][1][int(request.query_params["partNumber"])] = content
        elif request.headers.get("x-goog-if-generation-match") == "0" and name in self.objects:
            return _error(412, "PreconditionFailed")
        else:
            self.objects[name] = StoredObject(content, request.headers["content-type"])
        return Response(headers={"ETag": _tag(content)})

    def _post(self, name: str, request: Request) -> Response:
        if "uploads" in request.query_params:
            upload = f"upload{len(self.uploads)}"
            self.uploads[upload] = (request.headers["content-type"], {})
            words = f"<Bucket>{BUCKET}</Bucket><Key>{escape(name)}</Key><UploadId>{upload}</UploadId>"
            return _xml(f"<InitiateMultipartUploadResult>{words}</InitiateMultipartUploadResult>")
        kind, parts = self.uploads.pop(request.query_params["uploadId"])
        self.objects[name] = StoredObject(b"".join(content for _, content in sorted(parts.items())), kind)
        return _xml("<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>")

    def _list(self, prefix: str) -> Response:
        dates = "<LastModified>2026-11-30T04:00:00.000Z</LastModified><ETag>x</ETag>"
        about = f"<Contents><Key>{{}}</Key>{dates}<Size>{{}}</Size></Contents>"
        rows = [
            about.format(escape(name), len(each.content))
            for name, each in sorted(self.objects.items())
            if name.startswith(prefix)
        ]
        return _xml(f"<ListBucketResult>{''.join(rows)}</ListBucketResult>")


def _string_to_sign(request: Request) -> bytes:
    """Version 4, of a link: everything but the signature, in order."""
    parameters: Mapping[str, str] = request.query_params
    pairs = sorted(
        (quote(name, safe=""), quote(value, safe="")) for name, value in parameters.items() if name != SIGNATURE
    )
    query = "&".join(f"{name}={value}" for name, value in pairs)
    canonical = [request.method, request.url.path, query, f"host:{HOST}", "", "host"]
    digest = hashlib.sha256("\n".join([*canonical, "UNSIGNED-PAYLOAD"]).encode()).hexdigest()
    scope = parameters["X-Goog-Credential"].partition("/")[2]
    return "\n".join([parameters["X-Goog-Algorithm"], parameters["X-Goog-Date"], scope, digest]).encode()


def _object_response(entry: StoredObject, part: str | None) -> Response:
    content, size = entry.content, len(entry.content)
    headers = {"ETag": _tag(content), "Last-Modified": CHANGED}
    if part is None:
        return Response(content, media_type=entry.kind, headers=headers)
    first, _, last = part.removeprefix("bytes=").partition("-")
    end = min(int(last or size), size - 1)
    headers["Content-Range"] = f"bytes {first}-{end}/{size}"
    return Response(content[int(first) : end + 1], status_code=206, media_type=entry.kind, headers=headers)


def _tag(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:16]}"'


def _xml(text: str, status_code: int = 200) -> Response:
    return Response(f"<?xml version='1.0'?>{text}", status_code=status_code, media_type="application/xml")


def _error(status_code: int, code: str) -> Response:
    return _xml(f"<Error><Code>{code}</Code><Message>none</Message></Error>", status_code)
