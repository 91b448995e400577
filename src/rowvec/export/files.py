"""One writer per format. Each takes batch after batch, and holds only one of them."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np
import orjson

from rowvec.db.exported_rows import ExportBatch, Exported
from rowvec.errors import ConfigError

# The end of a file's name until the file is whole.
PART = ".part"

Written = Callable[[int], None]

_ORDINALITY = ("ordinality",)  # what chunks have besides


def write_ndjson(exported: Exported, file: Path, on_written: Written) -> None:
    """A line a row: {"key": ..., "text": ..., "embedding": [...]}, of a chunk its "ordinality"."""
    names = ["key", *_ORDINALITY[: exported.is_chunked], "text", "embedding"]
    with file.open("wb") as out:
        for batch in exported.batches():
            ordinalities = [] if batch.ordinalities is None else [batch.ordinalities]
            for row in zip(batch.keys, *ordinalities, batch.texts, batch.vectors, strict=True):
                out.write(
                    orjson.dumps(
                        dict(zip(names, row, strict=True)),
                        option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE,
                    )
                )
            on_written(len(batch.keys))


def write_parquet(exported: Exported, file: Path, on_written: Written) -> None:
    """Columns key (int64 for a whole number, else a string), text, embedding (float32, fixed).

    Of chunks there is ordinality (int32) behind the key.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415  # of the extra `datasets`
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError as exc:
        raise ConfigError(
            "writing Parquet needs a package", hint="pip install 'rowvec[datasets]'"
        ) from exc
    schema = pa.schema(
        [
            ("key", pa.int64() if exported.has_integer_key else pa.string()),
            *((name, pa.int32()) for name in _ORDINALITY[: exported.is_chunked]),
            ("text", pa.string()),
            ("embedding", pa.list_(pa.float32(), exported.dimensions)),
        ]
    )
    with pq.ParquetWriter(file, schema) as writer:
        for batch in exported.batches():
            vectors = pa.FixedSizeListArray.from_arrays(
                pa.array(batch.vectors.reshape(-1)), exported.dimensions
            )
            keys = pa.array(_keys(exported, batch), schema.field(0).type)
            ordinalities = [] if batch.ordinalities is None else [batch.ordinalities]
            columns = [keys, *ordinalities, batch.texts, vectors]
            writer.write_batch(pa.record_batch(columns, schema=schema))
            on_written(len(batch.keys))


def write_npz(exported: Exported, file: Path, on_written: Written) -> None:
    """Arrays for numpy.load: keys, vectors, and the texts as bytes with offsets; ordinality.

    Text n is `text_bytes[text_offsets[n]:text_offsets[n + 1]].tobytes().decode()`: an array of
    strings would give every text the length of the longest.
    """
    width = exported.longest_key()
    key_type = np.dtype(np.int64) if exported.has_integer_key else np.dtype(f"<U{width}")
    count = exported.count
    offsets = np.zeros(count + 1, np.int64)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        with _member(archive, "vectors", (count, exported.dimensions), np.dtype("<f4")) as out:
            at = 0
            for batch in exported.batches():
                out.write(batch.vectors.astype("<f4").tobytes())
                for text in batch.texts:
                    at += 1
                    offsets[at] = offsets[at - 1] + len((text or "").encode())
                on_written(len(batch.keys))
        with _member(archive, "keys", (count,), key_type) as out:
            for batch in exported.batches():
                out.write(np.array(_keys(exported, batch), key_type).tobytes())
        for name in _ORDINALITY[: exported.is_chunked]:
            with _member(archive, name, (count,), np.dtype("<i4")) as out:
                for batch in exported.batches():
                    out.write(np.array(batch.ordinalities, "<i4").tobytes())
        with _member(archive, "text_bytes", (int(offsets[-1]),), np.dtype(np.uint8)) as out:
            for batch in exported.batches():
                out.write("".join(text or "" for text in batch.texts).encode())
        with _member(archive, "text_offsets", offsets.shape, offsets.dtype) as out:
            out.write(offsets.tobytes())


def write_faiss(exported: Exported, file: Path, on_written: Written) -> None:
    """An exact index, inner product over normalised vectors for cosine, L2 else.

    Its ids are the keys where they are whole numbers; else, and for chunks, rows are counted from
    0, and their keys are in that order in FILE.keys.ndjson. faiss itself holds all vectors in
    memory.
    """
    try:
        import faiss  # noqa: PLC0415  # of the extra `faiss`
    except ImportError as exc:
        raise ConfigError(
            "writing a faiss index needs a package", hint="pip install 'rowvec[faiss]'"
        ) from exc
    is_l2 = exported.metric == "l2"
    flat = (faiss.IndexFlatL2 if is_l2 else faiss.IndexFlatIP)(exported.dimensions)
    is_by_key = exported.has_integer_key and not exported.is_chunked
    index = faiss.IndexIDMap2(flat) if is_by_key else flat
    keys_file = file.with_name(file.name.removesuffix(PART) + ".keys.ndjson")
    keys = None if is_by_key else keys_file.open("wb")
    for batch in exported.batches():
        vectors = np.ascontiguousarray(batch.vectors)
        if exported.metric == "cosine":
            faiss.normalize_L2(vectors)
        if keys is None:
            index.add_with_ids(vectors, np.array(batch.keys, np.int64))
        else:
            index.add(vectors)
            named: Iterable[Any] = batch.keys
            if batch.ordinalities is not None:
                pairs = zip(batch.keys, batch.ordinalities, strict=True)
                named = ({"key": key, "ordinality": number} for key, number in pairs)
            keys.writelines(orjson.dumps(k, option=orjson.OPT_APPEND_NEWLINE) for k in named)
        on_written(len(batch.keys))
    if keys is not None:
        keys.close()
    faiss.write_index(index, str(file))


WRITERS = {
    ".parquet": write_parquet, ".npz": write_npz, ".jsonl": write_ndjson,
    ".ndjson": write_ndjson, ".faiss": write_faiss,
}  # fmt: skip


def _member(
    archive: zipfile.ZipFile, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> IO[bytes]:
    """An array of a .npz that is written piece by piece, its head written."""
    out = archive.open(f"{name}.npy", "w", force_zip64=True)
    np.lib.format.write_array_header_2_0(
        out,
        {
            "descr": np.lib.format.dtype_to_descr(dtype),
            "fortran_order": False,
            "shape": shape,
        },
    )
    return out


def _keys(exported: Exported, batch: ExportBatch) -> list[Any]:
    """Whole numbers as they are, strings as they are, else as JSON."""
    if exported.has_integer_key:
        return batch.keys
    return [k if isinstance(k, str) else orjson.dumps(k).decode() for k in batch.keys]
