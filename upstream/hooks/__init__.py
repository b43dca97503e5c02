"""What a profile cannot express as data, by the names that it uses: ways to send a key, and to upload a file."""

from framerelay.upstream.hooks.auth import auth_headers
from framerelay.upstream.hooks.uploads import UPLOADS, UploadFile

__all__ = ["UPLOADS", "UploadFile", "auth_headers"]
