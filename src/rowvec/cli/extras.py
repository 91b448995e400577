"""Which extra brings a package that a command needs and that is not installed."""

from __future__ import annotations

from rowvec.errors import ConfigError

# Module -> extra of pyproject.toml that installs it.
EXTRAS = {
    "aiohttp": "worker",
    "huggingface_hub": "worker",
    "prometheus_client": "worker",
    "safetensors": "worker",
    "sentence_transformers": "worker",
    "tokenizers": "worker",
    "torch": "worker",
    "transformers": "worker",
    "onnx": "fast",
    "onnxruntime": "fast",
    "openvino": "fast",
    "datasets": "datasets",
    "pyarrow": "datasets",
    "faiss": "faiss",
    "PIL": "explore",
    "sklearn": "explore",
    "threadpoolctl": "explore",
    "umap": "umap",
    "gguf": "gguf",
    "ray": "ray",
    "langchain_text_splitters": "pgml",
    "starlette": "ui",
    "uvicorn": "ui",
}


def missing_extra(error: ModuleNotFoundError) -> ConfigError | None:
    """The error as a sentence with the command that helps; None where no extra has the module."""
    module = (error.name or "").partition(".")[0]
    extra = EXTRAS.get(module)
    if extra is None:
        return None
    return ConfigError(
        f"this needs the package {module}, which is not installed",
        hint=f"pip install 'rowvec[{extra}]'",
    )
