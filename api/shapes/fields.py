"""Fields that many shapes have."""

from typing import Annotated

from msgspec import Meta

Seconds = Annotated[float, Meta(description="Seconds since 1970, UTC.")]
Address = Annotated[str, Meta(description="Below /media; it needs the key, and takes Range.")]
Digest = Annotated[str, Meta(description="SHA-256 of the file, in hex.", pattern="^[0-9a-f]{0,64}$")]
