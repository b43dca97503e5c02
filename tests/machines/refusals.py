"""How object storage that refuses a key or a bucket is reported, of whichever provider."""

import pytest

from framerelay.cli.doctor.finding import Status
from framerelay.cli.doctor.storage import look_at_storage
from framerelay.config.settings import Settings
from framerelay.runs.errors import StorageFailed
from framerelay.store.bucket_store import BucketStore


async def assert_refusal(settings: Settings, media: BucketStore, name: str, words: str) -> str:
    """Both doctor and the worker that keeps the clip *name* fail with *words*; returns all that they say."""
    (finding,) = await look_at_storage(settings)
    media.files.place(name).write_bytes(b"0123456789")
    with pytest.raises(StorageFailed) as failure:
        await media.keep(name)

    assert finding.status is Status.FAIL, finding
    assert words in finding.message
    assert words in failure.value.message
    return f"{finding}{failure.value}"
