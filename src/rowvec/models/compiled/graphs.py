"""Graphs in memory: onnxruntime and OpenVINO, which read the same file."""

from __future__ import annotations

import hashlib
import logging
import platform
import shutil
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from rowvec.errors import ModelError
from rowvec.models.compiled.artifact import GRAPH, settle
from rowvec.models.embedder import Matrix

logger = logging.getLogger(__name__)

_FILE = "model.onnx"

Feeds = Mapping[str, npt.NDArray[np.int64]]

# With another process on the cores a batch took 1.4 to 1.7 times the processor when threads spun
# for as long as they like, 1.0 to 1.1 with a hundredth of a millisecond to a thirtieth.
_SPIN_MICROSECONDS = "20"


class Graph(Protocol):
    """A graph that computes; `streams` batches at once, each on one processor."""

    streams: int
    memory_bytes: int

    def rows(self, feeds: Feeds) -> Matrix:
        """One row a text, with all threads; never from two threads at once."""

    def rows_in_stream(self, feeds: Feeds) -> Matrix:
        """As `rows`, from any of `streams` threads at once."""


class OnnxGraph:
    """A Graph that runs in onnxruntime: one batch on all threads or one on each.

    The second needs the `packed` form of the graph, which two sessions read from the same memory.
    Raises ModelError where onnxruntime does not read it.
    """

    def __init__(self, graph: Path, threads: int, packed: Path | None = None) -> None:
        # A batch that threads share has them wait for each other after every operator, the longer
        # the more other processes want the processors: so they share one where it is alone only.
        self._session = _session(packed or graph, threads)
        self.streams = 1 if packed is None else threads
        self._stream = self._session if packed is None else _session(packed, 1)
        self._inputs = [given.name for given in self._session.get_inputs()]
        self.memory_bytes = _weights_of(graph)

    def rows(self, feeds: Feeds) -> Matrix:
        """One row a text."""
        return self._run(self._session, feeds)

    def rows_in_stream(self, feeds: Feeds) -> Matrix:
        """As `rows`, on one thread."""
        return self._run(self._stream, feeds)

    def _run(self, session: Any, feeds: Feeds) -> Matrix:
        found: Matrix
        (found,) = session.run(None, {name: feeds[name] for name in self._inputs})
        return found


class OpenVinoGraph:
    """A Graph that runs in OpenVINO, in float32 or bfloat16."""

    streams = 1

    def __init__(self, graph: Path, threads: int, dtype: str | None = None) -> None:
        try:
            import openvino  # noqa: PLC0415  # of the extra `fast`
        except ImportError as exc:
            raise ModelError("openvino, which it was compiled for, is not installed") from exc

        compiled: Any = openvino.Core().compile_model(
            str(graph),
            "CPU",
            {
                # Left to itself it computes in bfloat16 where the processor has it.
                "INFERENCE_PRECISION_HINT": "bf16" if dtype == "bfloat16" else "f32",
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_NUM_THREADS": threads,
                "NUM_STREAMS": 1,
                "ENABLE_CPU_PINNING": False,
            },
        )
        self._inputs = [given.any_name for given in compiled.inputs]
        self._request = compiled.create_infer_request()
        self.memory_bytes = _weights_of(graph)

    def rows(self, feeds: Feeds) -> Matrix:
        """One row a text."""
        found = self._request.infer(
            {name: feeds[name] for name in self._inputs}, share_inputs=True, share_outputs=True
        )
        # The request's own memory, until its next call.
        return np.array(found[0])

    def rows_in_stream(self, feeds: Feeds) -> Matrix:
        """As `rows`: there is one stream."""
        return self.rows(feeds)


def packed_form(
    artifact: Path, threads: int, is_proven: Callable[[OnnxGraph], bool]
) -> Path | None:
    """The form of a graph that all sessions of onnxruntime read from the same memory.

    Weights stand in it as the kernels of this processor take them, so that they are mapped and not
    copied. It is made and proven where there is none; None where that cannot be done here, which is
    kept, too.
    """
    folder = artifact / f"packed-onnxruntime{metadata.version('onnxruntime')}-{_processor()}"
    if not folder.is_dir():
        try:
            begun = Path(tempfile.mkdtemp(prefix=".packing-", dir=artifact))
        except OSError:
            return None  # a folder that is only read
        try:
            if not _packs(artifact / GRAPH, begun / _FILE, threads, is_proven):
                for file in begun.iterdir():
                    file.unlink()
            begun.chmod(0o755)
            settle(begun, folder)
        finally:
            shutil.rmtree(begun, ignore_errors=True)
    graph = folder / _FILE
    return graph if graph.exists() else None


def _packs(graph: Path, path: Path, threads: int, is_proven: Callable[[OnnxGraph], bool]) -> bool:
    try:
        _pack(graph, path, threads)
        return is_proven(OnnxGraph(graph, threads, path))
    except ModelError as exc:
        logger.info("not packed: %s", exc)
        return False


def _pack(graph: Path, path: Path, threads: int) -> None:
    options = _options(threads)
    options.optimized_model_filepath = str(path)
    for key, value in (
        ("session.optimized_model_external_initializers_file_name", f"{path.name}.data"),
        ("session.optimized_model_external_initializers_min_size_in_bytes", "1024"),
        ("session.save_external_prepacked_constant_initializers", "1"),
    ):
        options.add_session_config_entry(key, value)
    _session(graph, threads, options)


def _options(threads: int) -> Any:
    import onnxruntime  # noqa: PLC0415  # of the extra `fast`

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Errors only: what it warns of, nobody here can mend.
    options.log_severity_level = 3
    return options


def _session(graph: Path, threads: int, options: Any = None) -> Any:
    import onnxruntime  # noqa: PLC0415  # of the extra `fast`

    if options is None:
        options = _options(threads)
        # Threads spin from one operator to the next, which makes a short text faster, but not for
        # the millisecond that is the default: where Postgres keeps one of them from its processor,
        # the others spin until it is back, and what they burn is what it waits for.
        options.add_session_config_entry("session.intra_op.allow_spinning", "1")
        options.add_session_config_entry("session.intra_op.spin_duration_us", _SPIN_MICROSECONDS)
        options.add_session_config_entry("session.force_spinning_stop", "1")
    try:
        return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    except Exception as exc:  # its errors have no class in common
        raise ModelError(f"onnxruntime does not read {graph} ({type(exc).__name__})") from exc


@cache
def _processor() -> str:
    """A name of this kind of processor: another one may want weights in another order."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    # "flags" on x86, "Features" on ARM.
    abilities = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    kind = f"{platform.machine()} {platform.processor()} {abilities}"
    return hashlib.blake2b(kind.encode(), digest_size=4).hexdigest()


def _weights_of(graph: Path) -> int:
    # Weights of more than 2 GB stand in files beside the graph.
    return sum(file.stat().st_size for file in graph.parent.iterdir())
