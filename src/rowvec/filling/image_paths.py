"""Inputs that are paths of image files, read where the job runs, within one stated folder."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping, Sequence
from pathlib import Path

from rowvec.client import TextChunk
from rowvec.config import Settings
from rowvec.db.definition import Definition
from rowvec.errors import ConfigError, InvalidRequest, RequestTooLarge
from rowvec.filling.async_embedder import AsyncEmbedder, EmbeddedTexts
from rowvec.filling.isolation import PROBES

_PROBE = PROBES["image"]


def reading(definition: Definition, embedder: AsyncEmbedder, settings: Settings) -> AsyncEmbedder:
    """The embedder as a definition's inputs need it: of paths, one that reads the files first.

    Raises ConfigError if the files' folder is not given.
    """
    if definition.modality != "image_file":
        return embedder
    if settings.image_folder is None:
        raise ConfigError(
            f"the input of {definition.label} are paths of image files",
            hint="say which folder they are relative to: --image-folder or ROWVEC_IMAGE_FOLDER",
        )
    return ImageFiles(embedder, settings.image_folder, settings.max_image_bytes)


class ImageFiles:
    """An embedder of paths. Errors name an input by its number and show no path."""

    def __init__(self, embedder: AsyncEmbedder, folder: Path, max_bytes: int) -> None:
        self._embedder = embedder
        self._folder = folder.resolve()
        self._max_bytes = max_bytes

    @property
    def max_tokens(self) -> int | None:
        """That of the model."""
        return self._embedder.max_tokens

    async def embed(self, texts: Sequence[str]) -> EmbeddedTexts:
        """Vectors of the files, in the order of their paths.

        Raises InvalidRequest for a path that leaves the folder or names no file that can be read,
        RequestTooLarge for a file beyond the setting max_image_bytes.
        """
        return await self._embedder.embed(await asyncio.to_thread(self._read, texts))

    async def chunk(
        self, texts: Sequence[str], kwargs: Mapping[str, object]
    ) -> Sequence[Sequence[TextChunk]]:
        """Never called: images are not cut."""
        return await self._embedder.chunk(texts, kwargs)

    def _read(self, paths: Sequence[str]) -> list[str]:
        # The job's own probe is an image already.
        return [
            path if path == _PROBE else self._base64(path, number)
            for number, path in enumerate(paths, start=1)
        ]

    def _base64(self, path: str, number: int) -> str:
        try:
            # Links are followed before it is judged: one in the folder may lead out of it.
            file = (self._folder / path).resolve()
            if not file.is_relative_to(self._folder):
                raise InvalidRequest("the path leads out of the image folder", input_number=number)
            size = file.stat().st_size
            if size > self._max_bytes:
                raise RequestTooLarge(
                    f"the file has {size:,} bytes, more than max_image_bytes",
                    input_number=number,
                )
            return base64.b64encode(file.read_bytes()).decode()
        except (OSError, ValueError) as exc:
            # ValueError: a path with U+0000.
            reason = getattr(exc, "strerror", None) or "no path"
            raise InvalidRequest(f"the file cannot be read: {reason}", input_number=number) from exc
