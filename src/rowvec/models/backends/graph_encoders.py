"""onnxruntime and OpenVINO as backends: both read the file that `graph` exports."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rowvec.errors import ModelError
from rowvec.models.backends.backend import Features
from rowvec.models.embedder import Tokenized
from rowvec.models.tokenizing import BatchTokenizer

# With another process on the cores a batch took 1.4 to 1.7 times the processor when threads spun
# for as long as they like, 1.0 to 1.1 with a hundredth of a millisecond to a thirtieth.
_SPIN_MICROSECONDS = "20"


class OnnxEncoder:
    """A TokenEncoder that runs in onnxruntime on the CPU: one batch on all threads or one on each.

    The second needs the `packed` form of the graph, which two sessions read from the same memory.
    """

    pads = True
    any_thread = True

    def __init__(
        self, graph: Path, tokenizer: BatchTokenizer, threads: int, packed: Path | None = None
    ) -> None:
        # A batch that threads share has them wait for each other after every operator, the longer
        # the more other processes want the processors: so they share one where it is alone only.
        self._session = _session(packed or graph, threads)
        self.streams = 1 if packed is None else threads
        self._stream = self._session if packed is None else _session(packed, 1)
        self._inputs = [given.name for given in self._session.get_inputs()]
        self._tokenizer = tokenizer
        self.memory_bytes = _size(graph)

    def encode(self, batch: Sequence[Tokenized]) -> Features:
        """Token embeddings of texts padded to the longest, as arrays of numpy."""
        return self._run(self._session, batch)

    def encode_in_stream(self, batch: Sequence[Tokenized]) -> Features:
        """As `encode`, on one thread."""
        return self._run(self._stream, batch)

    def _run(self, session: Any, batch: Sequence[Tokenized]) -> Features:
        padded = self._tokenizer.arrays(batch)
        (found,) = session.run(None, {name: padded[name] for name in self._inputs})
        return {**padded, "token_embeddings": found}


def _session(graph: Path, threads: int) -> Any:
    import onnxruntime  # noqa: PLC0415  # of the extra `fast`

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads spin from one operator to the next, which makes a short text faster, but not for
    # the millisecond that is the default: where Postgres keeps one of them from its processor,
    # the others spin until it is back, and what they burn is what it waits for.
    options.add_session_config_entry("session.intra_op.allow_spinning", "1")
    options.add_session_config_entry("session.intra_op.spin_duration_us", _SPIN_MICROSECONDS)
    options.add_session_config_entry("session.force_spinning_stop", "1")
    # Errors only: its warnings are about things that nothing here can change.
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    except Exception as exc:  # its errors have no class in common
        raise ModelError(f"onnxruntime does not read {graph} ({type(exc).__name__})") from exc


class OpenVinoEncoder:
    """A TokenEncoder that runs in OpenVINO on the CPU."""

    pads = True
    any_thread = True
    streams = 1

    def __init__(
        self, graph: Path, tokenizer: BatchTokenizer, threads: int, *, dtype: str = "float32"
    ) -> None:
        import openvino  # noqa: PLC0415  # of the extra `fast`

        compiled: Any = openvino.Core().compile_model(
            str(graph),
            "CPU",
            {
                # Left to itself it computes in bfloat16 where the processor has it.
                "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[dtype],
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_NUM_THREADS": threads,
                "NUM_STREAMS": 1,
                "ENABLE_CPU_PINNING": False,
            },
        )
        self._inputs = [given.any_name for given in compiled.inputs]
        self._request = compiled.create_infer_request()
        self._tokenizer = tokenizer
        self.memory_bytes = _size(graph)

    def encode(self, batch: Sequence[Tokenized]) -> Features:
        """Token embeddings of texts padded to the longest, as arrays; valid until the next call."""
        padded = self._tokenizer.arrays(batch)
        found = self._request.infer(
            {name: padded[name] for name in self._inputs}, share_inputs=True, share_outputs=True
        )
        return {**padded, "token_embeddings": found[0]}

    def encode_in_stream(self, batch: Sequence[Tokenized]) -> Features:
        """As `encode`: there is one stream."""
        return self.encode(batch)


def _size(graph: Path) -> int:
    # Weights of more than 2 GB are in files beside the graph.
    return sum(file.stat().st_size for file in graph.parent.iterdir())
