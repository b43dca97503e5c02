"""Which of the two keeps our files: the data folder, or the object storage named in the settings."""

from framerelay.config.env_file import SettingInvalid
from framerelay.config.settings import Settings, environment
from framerelay.store.bucket import open_bucket
from framerelay.store.bucket_store import BucketStore
from framerelay.store.files import MediaFiles
from framerelay.store.folder_store import FolderStore
from framerelay.store.media_store import MediaStore


def media_store_of(settings: Settings) -> MediaStore:
    """The one that *settings* ask for; it is not contacted yet. Raises: SettingInvalid."""
    files = MediaFiles(settings.data_dir)
    if settings.store is None:
        return FolderStore(files)
    try:
        bucket = open_bucket(settings.store, endpoint=settings.store_endpoint, environ=environment())
    except ValueError as error:
        raise SettingInvalid(f"FRAMERELAY_STORE = {settings.store}: {error}") from None
    where = f"{settings.store} at {settings.store_endpoint}" if settings.store_endpoint else settings.store
    return BucketStore(files, bucket, name=where, gives_links=settings.media == "redirect")
