"""A dataset of Hugging Face's hub or of a local folder, as `pgml.load_dataset` reads it."""

from __future__ import annotations

import re
from pathlib import Path

from rowvec.datasets.files import find_files
from rowvec.datasets.listing import DatasetSpec
from rowvec.datasets.rows import rows_of
from rowvec.errors import ConfigError, ModelError
from rowvec.load.row_source import RowSource
from rowvec.rows.parquet_rows import parquet_columns
from rowvec.rows.reading import Place

_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")


def dataset(
    name: str, *, subset: str | None, split: str | None, revision: str | None = None
) -> RowSource:
    """A folder of Parquet, CSV or JSON; or a repository of the hub, which is downloaded first.

    Raises RowvecError where there is none, or no such subset or split.
    """
    folder = Path(name).expanduser()
    if not folder.is_dir():
        folder = _downloaded(name, revision)
    found = find_files(DatasetSpec(name, path=folder), subset, split)
    place = Place(name, unit="row")
    return RowSource(
        name=name,
        rows=lambda on_bad: rows_of(found, on_bad, place),
        place=place,
        columns=parquet_columns(found.files) if found.format == "parquet" else None,
        cells=found.format == "csv",
        size=sum(file.stat().st_size for file in found.files),
    )


def _downloaded(name: str, revision: str | None) -> Path:
    if not _HUB_NAME.fullmatch(name):
        raise ConfigError(f"there is no folder {name}")
    try:
        from huggingface_hub import snapshot_download  # noqa: PLC0415  # of the extra `datasets`
    except ImportError as exc:
        raise ModelError(
            "a dataset of the hub needs a package", hint="pip install 'rowvec[datasets]'"
        ) from exc
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError  # noqa: PLC0415

    try:
        return Path(snapshot_download(name, repo_type="dataset", revision=revision))
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError, ValueError) as exc:
        raise ConfigError(
            f"there is no folder {name}, and the hub gives no dataset of that name here",
            hint="check the name, the network, and for a private one `hf auth login`",
        ) from exc
