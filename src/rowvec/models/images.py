"""From the bytes of an image to the RGB picture that a model reads.

Only bytes are ever read, never a path or a URL, and only four formats are known, whatever else
Pillow could open.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from io import BytesIO

from PIL import Image, ImageOps

from rowvec.errors import InvalidRequest, RequestTooLarge

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")

_HINT = "send the bytes of a JPEG, PNG, WebP or GIF file"

# What Pillow's readers raise when the bytes are not what they seem, as its own tests and fuzzing
# of ours show.
_BROKEN = (
    OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, AttributeError,
    OverflowError, struct.error, zlib.error,
)  # fmt: skip


def read_image(content: bytes, *, max_bytes: int, max_pixels: int) -> Image.Image:
    """The picture in RGB, eight bits a channel, the way up that its camera says.

    The first frame where there are several. What is transparent becomes white, as in transformers'
    own image processors. Raises RequestTooLarge beyond a limit, before any pixel is decoded, and
    InvalidRequest for what is no image, broken or cut off.
    """
    if not content:
        raise InvalidRequest("the image has no bytes", hint=_HINT)
    if len(content) > max_bytes:
        raise RequestTooLarge(
            f"the image has {len(content)} bytes, the worker takes {max_bytes}",
            hint="send a smaller one, or raise the worker's max_image_bytes",
        )
    with warnings.catch_warnings():
        # Pillow warns of broken metadata, which it skips: no reason to refuse the image.
        warnings.simplefilter("ignore")
        image = _opened(content, max_pixels)
        try:
            image.load()
            # A GIF's frame may be larger than the picture said it was.
            _check_size(image, max_pixels)
            return _to_rgb(ImageOps.exif_transpose(image))
        except _BROKEN as exc:
            raise InvalidRequest("the image is broken or cut off", hint=_HINT) from exc


def _opened(content: bytes, max_pixels: int) -> Image.Image:
    """The image with its header read and nothing decoded."""
    try:
        image = Image.open(BytesIO(content), formats=FORMATS)
    except Image.DecompressionBombError as exc:
        raise RequestTooLarge("the image has far too many pixels") from exc
    except _BROKEN as exc:
        raise InvalidRequest(
            "the bytes are no image of a known format, or a broken one", hint=_HINT
        ) from exc
    _check_size(image, max_pixels)
    return image


def _check_size(image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise RequestTooLarge(
            f"the image has {width} x {height} pixels, the worker takes {max_pixels}",
            hint="send a smaller one (models read a few hundred pixels a side), or raise the"
            " worker's max_image_pixels",
        )


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # Sixteen bits of grey: Pillow would cut them off at white. One value of them may mean
        # transparent, which the eight bits left can no longer tell apart.
        image = image.convert("I").point(lambda grey: grey / 256).convert("L")
        image.info.pop("transparency", None)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(paper, image).convert("RGB")
    return image.convert("RGB")
