"""Which files of a dataset's folder are meant by a subset and a split."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rowvec.datasets.listing import DatasetSpec
from rowvec.errors import InvalidRequest, ModelError, NotAllowed

Format = Literal["parquet", "csv", "json"]

_FORMATS: dict[str, Format] = {
    ".parquet": "parquet", ".csv": "csv", ".tsv": "csv",
    ".json": "json", ".jsonl": "json", ".ndjson": "json",
}  # fmt: skip

# What the hub and the datasets library put beside the data.
_NO_DATA = {"dataset_infos.json", "dataset_info.json", "state.json", "dataset_dict.json"}

# As the datasets library tells splits apart: by these words in a file's path.
_SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_WORDS = {word: split for split, words in _SPLITS.items() for word in words}


@dataclass(frozen=True)
class DatasetFiles:
    """The files to read, one after the other."""

    format: Format
    files: tuple[Path, ...]


def find_files(spec: DatasetSpec, subset: str | None, split: str | None) -> DatasetFiles:
    """The files of a dataset, train before others; raises RowvecError where there are none.

    A subset is a folder in the dataset's own one, or in its `data`.
    """
    root = _root(spec)
    name = f"the dataset {spec.name!r}"
    folder = _subset_folder(root, subset, name)
    found = sorted(_data_files(folder))
    if not found:
        raise ModelError(f"{name} has no Parquet, CSV or JSON file in {folder}")
    formats = sorted({_format(file) or "" for file in found})
    if len(formats) > 1:
        raise ModelError(
            f"{name} has files of several formats in {folder}: {', '.join(formats)}",
            hint="give each a folder of its own, and name it as the subset",
        )
    splits: dict[str, list[Path]] = {split_name: [] for split_name in _SPLITS}
    for file in found:
        splits[_split_of(file.relative_to(folder))].append(file)
    there = {split_name: files for split_name, files in splits.items() if files}
    if split is not None and split not in there:
        raise InvalidRequest(
            f"{name} has no split of that name", hint=f"splits: {', '.join(there)}"
        )
    chosen = there.values() if split is None else [there[split]]
    format_ = _format(found[0])
    assert format_ is not None
    return DatasetFiles(format_, tuple(file for files in chosen for file in files))


def _root(spec: DatasetSpec) -> Path:
    if spec.path is not None:
        if not spec.path.is_dir():
            raise ModelError(f"the dataset {spec.name!r}: there is no folder {spec.path}")
        return spec.path
    from huggingface_hub import snapshot_download  # noqa: PLC0415  # only the worker extra has it
    from huggingface_hub.errors import LocalEntryNotFoundError  # noqa: PLC0415

    assert spec.hub is not None
    try:
        return Path(
            snapshot_download(
                spec.hub, repo_type="dataset", revision=spec.revision, local_files_only=True
            )
        )
    except LocalEntryNotFoundError as exc:
        raise ModelError(
            f"the dataset {spec.name!r}: {spec.hub} at {spec.revision} is not on this machine",
            hint=f"fetch it first: hf download {spec.hub} --repo-type dataset"
            f" --revision {spec.revision}",
        ) from exc


def _subset_folder(root: Path, subset: str | None, name: str) -> Path:
    subsets = {
        folder.name: folder
        for parent in (root / "data", root)
        if parent.is_dir()
        for folder in sorted(parent.iterdir())
        if folder.is_dir()
        and folder.name[0] not in "._"
        and folder.name != "data"
        and folder.name not in _WORDS
    }
    if subset is not None:
        # Looked up, never joined: a subset's name cannot lead outside the folder.
        if subset not in subsets:
            raise NotAllowed(
                f"{name} has no subset of that name",
                hint=f"subsets: {', '.join(subsets) or 'none'}",
            )
        return subsets[subset]
    if len(subsets) > 1 and not any(_format(file) for file in root.iterdir()):
        raise InvalidRequest(
            f"{name} has several subsets, name one", hint=f"subsets: {', '.join(subsets)}"
        )
    return root


def _data_files(folder: Path) -> Iterable[Path]:
    for file in folder.rglob("*"):
        parts = file.relative_to(folder).parts
        if _format(file) and file.is_file() and not any(part[0] in "._" for part in parts):
            yield file


def _format(file: Path) -> Format | None:
    if file.name in _NO_DATA:
        return None
    return _FORMATS.get(Path(file.name.removesuffix(".gz")).suffix.lower())


def _split_of(file: Path) -> str:
    words = re.split(r"[^a-z]+", str(file).lower())
    return next((_WORDS[word] for word in words if word in _WORDS), "train")
