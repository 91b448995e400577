"""Small pictures of rows that have an image as input."""

from __future__ import annotations

import base64
import binascii
import io

from rowvec.config import Settings
from rowvec.errors import InvalidRequest
from rowvec.models.images import read_image

_SIDE = 240


def thumbnail(encoded: str, settings: Settings) -> bytes:
    """The image (base64, as an input is) with at most 240 pixels a side, as WebP.

    Raises InvalidRequest where it is no image, RequestTooLarge where it has more bytes or pixels
    than the worker would take.
    """
    try:
        data = base64.b64decode(encoded)
    except binascii.Error as exc:
        raise InvalidRequest("the input of this row is not an image") from exc
    picture = read_image(
        data, max_bytes=settings.max_image_bytes, max_pixels=settings.max_image_pixels
    )
    picture.thumbnail((_SIDE, _SIDE))
    out = io.BytesIO()
    picture.save(out, "WEBP", quality=80)
    return out.getvalue()
