"""The extra `serve`: a worker that answers from artifacts where no torch is installed."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Pooling

from rowvec.client import WorkerClient
from rowvec.errors import RowvecError
from rowvec.models.backends.variant import Runtime
from rowvec.models.compiled.artifact import COMPILED, MANIFEST
from support.environments import can_import, environment_with, size_of
from support.library import Encode, Vectors
from support.models import compiled_model
from support.places import clean_environment
from support.tiny_models import save
from support.workers import StartWorker, Worker

LIST = """
[[model]]
name = "compiled"
kind = "sentence-transformers"
path = "{compiled}"

[[model]]
name = "plain"
kind = "sentence-transformers"
path = "{plain}"
"""

_MOST_BYTES = 350 * 10**6


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with rowvec[serve]."""
    return environment_with(tmp_path_factory.mktemp("serving"), "serve")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with rowvec alone."""
    return environment_with(tmp_path_factory.mktemp("client"))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, bert_folder: Callable[..., Path]) -> Path:
    """A model's folder with its weights."""
    folder = tmp_path_factory.mktemp("plain")
    return save(folder, Transformer(str(bert_folder())), Pooling(32, "mean"))


@pytest.fixture(scope="module")
def worker(
    tmp_path_factory: pytest.TempPathFactory,
    plain: Path,
    serving: Path,
    start_module_worker: StartWorker,
) -> Worker:
    """One in that environment, of a model that was compiled before and of one that was not."""
    home = tmp_path_factory.mktemp("compiled")
    compiled_model(plain, Runtime(compiled=home / "made", threads=2))
    (manifest,) = (home / "made").glob(f"*/{MANIFEST}")
    folder = home / "model"
    shutil.copytree(plain, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    manifest.parent.rename(folder / COMPILED)
    models = LIST.format(compiled=folder, plain=plain)
    return start_module_worker(models, python=serving / "python")


def embed(worker: Worker, model: str, texts: list[str], **kwargs: object) -> Vectors:
    async def asked() -> Vectors:
        async with await WorkerClient.connect(worker.conninfo) as client:
            return (await client.embed(model, texts, kwargs)).vectors

    return asyncio.run(asked())


def test_it_is_small_and_has_no_torch(serving: Path) -> None:
    for absent in ("torch", "transformers", "sentence_transformers", "onnx", "PIL"):
        assert not can_import(serving, absent)
    assert size_of(serving) < _MOST_BYTES


def test_its_worker_gives_the_vectors_of_the_library(
    *,
    worker: Worker,
    plain: Path,
    texts: list[str],
    library_encode: Encode,
    assert_same: Callable[..., None],
) -> None:
    assert_same(embed(worker, "compiled", texts), library_encode(plain, texts))


def test_what_has_to_be_compiled_says_what_to_install(worker: Worker) -> None:
    with pytest.raises(RowvecError, match="plain has to be compiled, which needs torch") as refused:
        embed(worker, "plain", ["a text"])
    assert refused.value.hint is not None
    assert "rowvec[worker]" in refused.value.hint


@pytest.mark.parametrize(
    ("kwargs", "said"),
    [
        ({"dtype": "int8"}, "compiled was compiled elsewhere, for onnx alone"),
        ({"backend": "torch"}, "the backend torch is not installed beside the worker"),
    ],
)
def test_another_way_to_compute_it_is_refused(
    worker: Worker, kwargs: dict[str, object], said: str
) -> None:
    with pytest.raises(RowvecError, match=said):
        embed(worker, "compiled", ["a text"], **kwargs)


def test_the_way_it_was_compiled_for_may_be_asked_for(
    worker: Worker, texts: list[str], assert_same: Callable[..., None]
) -> None:
    asked = embed(worker, "compiled", texts, backend="onnx", dtype="float32")
    assert_same(asked, embed(worker, "compiled", texts))


@pytest.mark.parametrize(
    ("environment", "command", "said"),
    [
        ("client", "worker", ("the worker needs prometheus_client", "rowvec[serve]")),
        ("serving", "worker --device cuda", ("the device cuda needs torch", "rowvec[worker]")),
        ("serving", "models test plain", ("measuring a model needs torch", "rowvec[worker]")),
    ],
)
def test_a_command_that_needs_more_says_which_extra(
    request: pytest.FixtureRequest,
    worker: Worker,
    environment: str,
    command: str,
    said: tuple[str, str],
) -> None:
    python = request.getfixturevalue(environment) / "python"
    files: list[str | Path] = ["--models", worker.models_file]
    if command.startswith("worker"):
        files += ["--password-file", worker.password_file, "--listen", worker.folder / "other"]
    done = subprocess.run(
        [python, "-P", "-m", "rowvec", *command.split(), *files],
        env=clean_environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert all(each in done.stderr for each in said), done.stderr
    assert "Traceback" not in done.stderr
