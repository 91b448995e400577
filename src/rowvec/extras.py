"""Which extra of rowvec brings a package that is not installed here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from rowvec.errors import ConfigError

_EXTRA_OF = {
    "prometheus_client": "serve",
    "aiohttp": "serve",
    "tokenizers": "serve",
    "onnxruntime": "serve",
    "onnx": "fast",
    "openvino": "fast",
    "torch": "worker",
    "transformers": "worker",
    "sentence_transformers": "worker",
    "safetensors": "worker",
    "huggingface_hub": "worker",
    "PIL": "worker",
    "sklearn": "explore",
    "threadpoolctl": "explore",
    "umap": "umap",
    "starlette": "ui",
    "uvicorn": "ui",
    "datasets": "datasets",
    "pyarrow": "datasets",
    "faiss": "faiss",
    "gguf": "gguf",
    "langchain_text_splitters": "pgml",
    "ray": "ray",
}


def demand(what: str, *packages: str) -> None:
    """Raises ConfigError where one of the packages, which `what` needs, is not installed."""
    for package in packages:
        if find_spec(package) is None:
            raise _missing(what, package, ConfigError)


@contextmanager
def needed_for(what: str, error: type[ConfigError] = ConfigError) -> Iterator[None]:
    """Raises `error` where the block imports a package of an extra that is not installed."""
    try:
        yield
    except ModuleNotFoundError as exc:
        package = (exc.name or "").partition(".")[0]
        if package not in _EXTRA_OF:
            raise
        raise _missing(what, package, error) from exc


def hint(package: str) -> str:
    """How to install it."""
    return f"pip install 'rowvec[{_EXTRA_OF[package]}]'"


def _missing(what: str, package: str, error: type[ConfigError]) -> ConfigError:
    return error(f"{what} needs {package}, which is not installed here", hint=hint(package))
