"""Images: every form that a picture comes in, and a clear refusal of what is none."""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rowvec.errors import InvalidRequest, RequestTooLarge
from rowvec.models.images import read_image

MAX_BYTES = 4 << 20
MAX_PIXELS = 1_000_000

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def quarters(mode: str = "RGB", size: int = 32) -> Image.Image:
    """Four squares of colour; which corner is which tells the way up."""
    image = Image.new("RGB", (size, size), WHITE)
    half = size // 2
    for colour, corner in ((RED, (0, 0)), (GREEN, (half, 0)), (BLUE, (0, half))):
        image.paste(colour, (*corner, corner[0] + half, corner[1] + half))
    return image.convert(mode)


def written(image: Image.Image, kind: str, **options: Any) -> bytes:
    content = BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def read(content: bytes) -> Image.Image:
    return read_image(content, max_bytes=MAX_BYTES, max_pixels=MAX_PIXELS)


def corners(image: Image.Image) -> list[tuple[int, ...]]:
    """The colours of the corners, a little inwards: top left, top right, bottom left, right."""
    width, height = image.size
    near, right, bottom = 4, width - 5, height - 5
    places = ((near, near), (right, near), (near, bottom), (right, bottom))
    return [tuple(np.asarray(image)[y, x]) for x, y in places]


def assert_near(found: list[tuple[int, ...]], expected: list[tuple[int, ...]]) -> None:
    np.testing.assert_allclose(np.array(found), np.array(expected), atol=12)


@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("JPEG", "RGB", {"quality": 95}),
        ("JPEG", "CMYK", {"quality": 95}),
        ("PNG", "RGB", {}),
        ("PNG", "P", {}),
        ("PNG", "RGBA", {}),
        ("PNG", "RGB", {"interlace": 1}),
        ("WEBP", "RGB", {"lossless": True}),
        ("WEBP", "RGBA", {"lossless": True}),
        ("GIF", "P", {}),
    ],
)
def test_the_formats_and_modes(kind: str, mode: str, options: dict[str, Any]) -> None:
    image = read(written(quarters(mode), kind, **options))
    assert image.mode == "RGB"
    assert image.size == (32, 32)
    assert_near(corners(image), [RED, GREEN, BLUE, WHITE])


@pytest.mark.parametrize("mode", ["L", "1", "LA"])
def test_grey_becomes_rgb(mode: str) -> None:
    image = read(written(Image.linear_gradient("L").convert(mode), "PNG"))
    assert image.mode == "RGB"
    assert_near(corners(image)[::3], [(0, 0, 0), WHITE])


def test_sixteen_bits_of_grey_keep_their_brightness() -> None:
    grey = np.full((8, 8), 0x4000, dtype=np.uint16)
    assert corners(read(written(Image.fromarray(grey), "PNG")))[0] == (0x40, 0x40, 0x40)


def test_sixteen_bits_of_colour() -> None:
    row = b"\0" + struct.pack(">3H", 0xFF00, 0x8000, 0x0100) * 8
    image = read(png(8, 8, depth=16, colour=2, rows=row * 8))
    assert corners(image)[0] == (0xFF, 0x80, 0x01)


@pytest.mark.parametrize("turned", range(1, 9))
def test_the_way_up_that_the_camera_says(turned: int) -> None:
    """The picture is stored turned or mirrored, and the tag says how to undo it."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    stored = quarters() if turned == 1 else quarters().transpose(undo[turned])
    exif = Image.Exif()
    exif[0x0112] = turned
    image = read(written(stored, "JPEG", quality=95, exif=exif))
    assert_near(corners(image), [RED, GREEN, BLUE, WHITE])


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_what_is_transparent_becomes_white(kind: str) -> None:
    """Dropping the channel would show what lies beneath, which is usually black."""
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    assert corners(read(written(image, kind, lossless=True)))[0] == WHITE
    half = Image.new("RGBA", (8, 8), (0, 0, 0, 128))
    assert_near(corners(read(written(half, kind, lossless=True)))[:1], [(127, 127, 127)])


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_transparent_colour_of_a_palette(kind: str) -> None:
    image = quarters("P")
    index = image.getpixel((0, 0))
    assert_near(corners(read(written(image, kind, transparency=index)))[:2], [WHITE, GREEN])


def test_transformers_does_the_same_with_transparency() -> None:
    from transformers.image_transforms import convert_to_rgb  # noqa: PLC0415 - slow to import

    image = quarters("RGBA")
    image.putalpha(Image.linear_gradient("L").resize((32, 32)))
    ours = np.asarray(read(written(image, "PNG")))
    np.testing.assert_array_equal(ours, convert_to_rgb(image, return_numpy=True))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_the_first_frame_of_an_animation(kind: str) -> None:
    others = [Image.new("RGB", (32, 32), "black")] * 3
    content = written(quarters(), kind, save_all=True, append_images=others)
    assert_near(corners(read(content)), [RED, GREEN, BLUE, WHITE])


def test_a_hundred_thousand_frames_cost_what_one_does() -> None:
    """Only a walk through all of them would run into the test's limit."""
    content = written(quarters("P"), "GIF")
    frame = b"\x2c\0\0\0\0\1\0\1\0\0\x02\x02\x44\x01\0"
    assert_near(corners(read(content[:-1] + frame * 100_000 + b";")), [RED, GREEN, BLUE, WHITE])


def png(width: int, height: int, *, depth: int = 8, colour: int = 0, rows: bytes = b"") -> bytes:
    """A PNG that says what it likes of its size."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(rows or b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(20_000, 10_000), (1001, 1000), (2**31 - 1, 2**31 - 1)])
def test_too_many_pixels_are_refused_before_they_are_decoded(size: tuple[int, int]) -> None:
    with pytest.raises(RequestTooLarge, match="pixels"):
        read(png(*size))


def test_a_frame_that_outgrows_its_picture() -> None:
    gif = bytearray(written(Image.new("P", (4, 4)), "GIF"))
    place = gif.index(b"\x2c") + 5
    gif[place : place + 4] = struct.pack("<HH", 5000, 5000)
    with pytest.raises(InvalidRequest):
        read(bytes(gif))


def test_too_many_bytes() -> None:
    with pytest.raises(RequestTooLarge, match="has 4194305 bytes, the worker takes 4194304"):
        read(bytes(MAX_BYTES + 1))


def test_no_bytes() -> None:
    with pytest.raises(InvalidRequest, match="has no bytes"):
        read(b"")


@pytest.mark.parametrize(
    "content",
    [
        b"no image", b"\0", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"\x89PNG\r\n\x1a\n",
        b"https://example.org/cat.png", b"/etc/passwd", b"GIF89a", b"\xff\xd8\xff",
        b"RIFF\0\0\0\0WEBP",
        written(Image.new("RGB", (8, 8)), "BMP"), written(Image.new("RGB", (8, 8)), "TIFF"),
    ],
    ids=lambda content: repr(content[:12]),
)  # fmt: skip
def test_no_image(content: bytes) -> None:
    with pytest.raises(InvalidRequest, match="no image of a known format") as caught:
        read(content)
    assert caught.value.sqlstate == "22023"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_an_image_that_is_cut_off(kind: str) -> None:
    content = written(Image.effect_noise((64, 64), 60).convert("RGB"), kind)
    for share in (0.3, 0.6, 0.9):
        with pytest.raises(InvalidRequest):
            read(content[: int(len(content) * share)])


def test_a_path_is_not_opened(tmp_path: Path) -> None:
    file = tmp_path / "real.png"
    quarters().save(file)
    with pytest.raises(InvalidRequest):
        read(bytes(file))


SAMPLES = [written(quarters(), kind) for kind in ("JPEG", "PNG", "WEBP", "GIF")]


@settings(max_examples=400, deadline=None)
@given(
    content=st.sampled_from(SAMPLES),
    edits=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=12),
)
def test_broken_bytes_are_refused_and_never_crash(
    content: bytes, edits: list[tuple[int, int]]
) -> None:
    broken = bytearray(content)
    for place, byte in edits:
        broken[place % len(broken)] = byte
    with suppress(InvalidRequest):
        assert read(bytes(broken)).mode == "RGB"
