"""Which backend computes a model: the one asked for, the one measured, or the best that is proven.

Proven: on sample texts of many lengths and scripts its vectors are those of the library's own
computation, which every load repeats. So a file exported wrongly is never served.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rowvec.errors import ModelError, NotSupported, RowvecError
from rowvec.models.backends.backend import Chosen, TokenEncoder
from rowvec.models.backends.torch_encoder import PackedTorch, PaddedTorch, can_be_packed
from rowvec.models.backends.variant import Backend, Runtime, installed
from rowvec.models.embedder import Matrix
from rowvec.models.tokenizing import BatchTokenizer

if TYPE_CHECKING:
    from rowvec.models.backends.graph import Graphs

logger = logging.getLogger(__name__)

# Of vectors that are the same but for rounding. Numbers of fewer bits are not held to it.
SAME = 0.9999

# Without a measurement. OpenVINO is about as fast, and keeps a megabyte or so for every shape of
# batch that it ever saw, which a worker that runs for months would feel.
_PREFERENCE: tuple[Backend, ...] = ("onnx", "openvino")

SAMPLES = (
    "x",
    "",
    "a vector for every row",
    "How many lists shall an index have?",
    "Postgres ruft einen Arbeiter neben der Datenbank, der das Modell rechnet.",
    "база данных · データベース · قاعدة بيانات",
    " ".join(["a text that is long enough to be cut off by most models"] * 60),
)


class Candidates:
    """The backends of one loaded model. `vectors` are those of SAMPLES, all modules applied."""

    def __init__(
        self,
        model: Any,
        tokenizer: BatchTokenizer,
        runtime: Runtime,
        vectors: Callable[[TokenEncoder], Matrix],
        device: str,
    ) -> None:
        self._model = model
        self._transformer = model[0]
        self._tokenizer = tokenizer
        self._runtime = runtime
        self._vectors = vectors
        self._device = device
        self._reference: Matrix | None = None
        self._plain = PaddedTorch(self._transformer, tokenizer, device)

    def choose(self) -> Chosen:
        """The backend that the runtime asks for; raises NotSupported where it cannot compute this.

        Where nothing is asked for, torch is the last resort, and the reason says why.
        """
        asked = self._runtime.variant
        if asked.dtype not in (None, self._own_type()):
            return self._of_another_type()
        if asked.backend is not None:
            return self._proven(asked.backend, "asked for")
        said: list[str] = []
        for backend, why in self._order(said):
            try:
                return self._proven(backend, "; ".join([why, *said]))
            except RowvecError as exc:
                said.append(str(exc))
                logger.warning("not used: %s", exc)
        return self._torch("; ".join(said) or "measured")

    def _order(self, said: list[str]) -> list[tuple[Backend, str]]:
        if self._device != "cpu":
            said.append(f"on {self._device} only torch computes")
            return []
        measured = self._runtime.measured
        if measured == "torch":
            return []
        if self._runtime.graphs is None:
            said.append("nothing else is set up to compute it")
            return []
        if (own := self._own_type()) != "float32":
            said.append(f"its weights are {own}, which only torch computes as the library does")
            return []
        here = [b for b in _PREFERENCE if b in installed()]
        if not here:
            said.append("neither openvino nor onnxruntime is installed")
        order: list[tuple[Backend, str]] = [(b, "proven equal, not measured here") for b in here]
        return [(measured, "measured"), *order] if measured in here else order

    def _proven(self, backend: Backend, reason: str) -> Chosen:
        if backend == "torch":
            return self._torch(reason)
        cosine = 0.0
        for encoder in self._graph_encoders(backend):
            cosine = self._cosine(encoder)
            if cosine >= SAME:
                return Chosen(backend, encoder, reason, cosine)
        raise NotSupported(f"the vectors of {backend} differ from torch's (cosine {cosine:.4f})")

    def _torch(self, reason: str) -> Chosen:
        if not can_be_packed(self._transformer, list(self._model)[1:]):
            return Chosen("torch", self._plain, reason)
        before = self._reference_vectors()
        packed = PackedTorch(self._transformer, self._tokenizer, self._device)
        cosine = float(cosines(self._vectors(packed), before).min())
        if cosine < SAME:
            packed.undo()
            return Chosen("torch", self._plain, reason)
        return Chosen("torch", packed, f"{reason}; without padding", cosine)

    def _of_another_type(self) -> Chosen:
        backend, dtype = self._runtime.variant.backend, self._runtime.variant.dtype
        reference = self._reference_vectors()
        encoder: TokenEncoder
        if backend == "torch" or dtype == "float32":
            self._model.to(getattr(torch, str(dtype)))
            chosen = self._proven(backend or "torch", "asked for")
            backend, encoder = chosen.backend, chosen.encoder
        else:
            assert backend is not None
            encoder = next(self._graph_encoders(backend, str(dtype)))
        cosine = float(cosines(self._vectors(encoder), reference).min())
        return Chosen(backend or "torch", encoder, f"asked for in {dtype}", cosine)

    def _graph_encoders(self, backend: Backend, dtype: str = "float32") -> Iterator[TokenEncoder]:
        """The ways to run the exported model in a backend, the fastest first."""
        # What the extra `fast` brings; the listener checked that it is there.
        from rowvec.models.backends.graph import Graphs  # noqa: PLC0415
        from rowvec.models.backends.graph_encoders import (  # noqa: PLC0415
            OnnxEncoder,
            OpenVinoEncoder,
        )

        if self._runtime.graphs is None:
            raise ModelError(f"{backend} needs a folder to keep exported models in")
        graphs = Graphs(self._runtime.graphs)
        exported = graphs.exported(self._transformer)
        threads = self._runtime.threads
        if backend == "openvino":
            yield OpenVinoEncoder(exported, self._tokenizer, threads, dtype=dtype)
            return
        if dtype == "int8":
            yield OnnxEncoder(graphs.quantised(exported), self._tokenizer, threads)
            return
        for graph in self._forms(graphs, exported):
            for packs in (True, False) if threads > 1 else (False,):
                try:
                    packed = graphs.packed(graph, threads) if packs else None
                    encoder = OnnxEncoder(graph, self._tokenizer, threads, packed)
                except ModelError as exc:
                    logger.info("not computed so: %s", exc)
                else:
                    yield encoder

    def _forms(self, graphs: Graphs, exported: Path) -> Iterator[Path]:
        try:
            yield graphs.fused(exported, self._transformer)
        except ModelError as exc:
            logger.info("computed as it was exported: %s", exc)
        yield exported

    def _own_type(self) -> str:
        return str(next(self._transformer.parameters()).dtype).removeprefix("torch.")

    def _cosine(self, encoder: TokenEncoder) -> float:
        """Of the worst sample; 0 where the encoder fails, which proves nothing either."""
        reference = self._reference_vectors()
        try:
            return float(cosines(self._vectors(encoder), reference).min())
        except Exception as exc:  # noqa: BLE001  # whatever a library raises for a graph
            logger.warning("%s while sample texts were computed", type(exc).__name__)
            return 0.0

    def _reference_vectors(self) -> Matrix:
        if self._reference is None:
            self._reference = self._vectors(self._plain)
        return self._reference


def cosines(ours: Matrix, theirs: Matrix) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The cosine of each row with its counterpart; 1 where both are zero, 0 where one is."""
    mine, other = ours.astype(np.float64), theirs.astype(np.float64)
    lengths = np.linalg.norm(mine, axis=1) * np.linalg.norm(other, axis=1)
    both_zero = ~mine.any(axis=1) & ~other.any(axis=1)
    found: np.ndarray[Any, np.dtype[np.float64]] = np.where(
        both_zero, 1.0, (mine * other).sum(axis=1) / np.maximum(lengths, 1e-300)
    )
    return found
