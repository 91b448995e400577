"""`rowvec models pack` and `unpack`: what comes out is served as what went in, and nothing else."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from sentence_transformers import CrossEncoder, SparseEncoder
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling

from rowvec.errors import ConfigError, ModelError
from rowvec.models.backends.variant import Runtime
from rowvec.models.compiled import archive
from rowvec.models.compiled.artifact import GRAPH
from rowvec.models.compiled.compiling import compile_model
from rowvec.models.compiled.graphs import OnnxGraph
from rowvec.models.listing import read_listing
from rowvec.models.loading import compiled, load
from rowvec.models.spec import ModelSpec
from support.commands import Rowvec
from support.tiny_models import save

Change = Callable[[str, bytes], bytes]


def listed(folder: Path, kind: str, home: Path) -> Path:
    """A list with the model `tested` alone."""
    path = home / "models.toml"
    home.mkdir(exist_ok=True)
    path.write_text(
        f'[[model]]\nname = "owner/tested"\naliases = ["t"]\nkind = "{kind}"\n'
        f'path = "{folder}"\nquery_prompt = "query: "\n'
    )
    return path


def spec_in(models: Path, cache: Path) -> ModelSpec:
    (spec,) = read_listing(models).specs
    return ModelSpec(**{**vars(spec), "runtime": Runtime(compiled=cache, threads=1)})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, bert_folder: Callable[..., Path]) -> Path:
    """The list of a model with a folder for each of its modules."""
    folder = tmp_path_factory.mktemp("model")
    save(
        folder / "model", Transformer(str(bert_folder())), Pooling(32, "mean"), Dense(32, 24),
        Normalize(),
    )  # fmt: skip
    return listed(folder / "model", "sentence-transformers", folder)


@pytest.fixture(scope="module")
def packed(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It in an archive."""
    folder = tmp_path_factory.mktemp("packed")
    spec = spec_in(model, folder / "compiled")
    archive.write(spec, compile_model(spec), folder / "model.tar")
    return folder / "model.tar"


def rows(models: Path, cache: Path, texts: list[str]) -> np.ndarray[Any, Any]:
    spec = spec_in(models, cache)
    loaded = load(spec, compiled(spec, compile_model))
    found = loaded.forward(loaded.tokenize(texts, "what is it"))
    return found if isinstance(found, np.ndarray) else np.stack([row.to_dense() for row in found])


@pytest.mark.parametrize("kind", ["sentence-transformers", "cross-encoder", "sparse-encoder"])
def test_a_packed_model_gives_the_same_without_its_weights(
    *,
    kind: str,
    model: Path,
    bert_folder: Callable[..., Path],
    tmp_path: Path,
    texts: list[str],
    rowvec: Rowvec,
) -> None:
    models = model
    if kind == "cross-encoder":
        library: Any = CrossEncoder(str(bert_folder("BertForSequenceClassification")), device="cpu")
    elif kind == "sparse-encoder":
        library = SparseEncoder(str(bert_folder("BertForMaskedLM")), device="cpu")
    if kind != "sentence-transformers":
        library.save(str(tmp_path / "model"))
        models = listed(tmp_path / "model", kind, tmp_path / "here")
    before = rows(models, tmp_path / "compiled", texts)
    there, file = tmp_path / "there" / "models.toml", tmp_path / "model.tar"
    for words in (
        ("pack", "t", "-o", file, "--models", models, "--cache-dir", tmp_path),
        ("unpack", file, "--models", there),
        ("verify", "--models", there),
    ):
        done = rowvec("models", *words)
        assert done.returncode == 0, done.stderr
    assert "same" in done.stdout
    old, new = spec_in(models, tmp_path), spec_in(there, tmp_path)
    assert (new.description.prompts, new.aliases) == (old.description.prompts, ("t",))
    assert not list(there.parent.rglob("*.safetensors"))
    # Both are moved together, into a container, say.
    there = there.parent.rename(tmp_path / "elsewhere") / there.name
    np.testing.assert_allclose(rows(there, tmp_path / "none", texts), before, atol=1e-6)


def members(file: Path) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(file) as opened:
        for member in opened:
            content = opened.extractfile(member)
            assert content is not None
            yield member, content.read()


def changed(packed: Path, target: Path, change: Change) -> Path:
    """The archive with other contents."""
    with tarfile.open(target, "w", format=tarfile.USTAR_FORMAT) as written:
        for member, content in members(packed):
            new = change(member.name, content)
            member.size = len(new)
            written.addfile(member, io.BytesIO(new))
    return target


def with_member(
    packed: Path, target: Path, member: tarfile.TarInfo, content: bytes = b"", **options: Any
) -> Path:
    """The archive with one more member."""
    with tarfile.open(target, "w", **{"format": tarfile.USTAR_FORMAT, **options}) as written:
        for own, kept in members(packed):
            written.addfile(own, io.BytesIO(kept))
        member.size = len(content)
        written.addfile(member, io.BytesIO(content))
    return target


def refused(file: Path, home: Path, said: str) -> None:
    """`unpack` refuses it in a sentence, and leaves nothing."""
    home.mkdir(exist_ok=True)
    before = {path: path.stat().st_mtime_ns for path in home.parent.rglob("*") if path.is_file()}
    with (
        pytest.raises(ConfigError, match=said),
        archive.unpacking(file, home / "models" / "any"),
    ):
        pytest.fail("it was taken")
    after = {path: path.stat().st_mtime_ns for path in home.parent.rglob("*") if path.is_file()}
    assert after == before
    assert not list((home / "models").iterdir())


@pytest.mark.parametrize(
    "name",
    [
        "/absolute.json", "../above.json", "compiled/../../above.json", "compiled/graph/../a",
        "a/./b.json", ".hidden.json", "code.py", "model.safetensors", "compiled/code.so",
        "compiled/packed-1/model.onnx", "a//b.json", "a/b/c/d/e.json", "new\nline.json", "é.json",
        "compiled", "compiled/graph/sub/model.onnx", "C:\\a.json",
    ],
)  # fmt: skip
def test_a_name_that_is_not_packed_is_refused(packed: Path, tmp_path: Path, name: str) -> None:
    file = with_member(packed, tmp_path / "hostile.tar", tarfile.TarInfo(name), b"{}")
    refused(file, tmp_path / "home", "which no packed model has|is not what rowvec models pack")


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE,
     tarfile.GNUTYPE_SPARSE, tarfile.CONTTYPE, b"Z"],
)  # fmt: skip
def test_only_plain_files_are_taken(packed: Path, tmp_path: Path, kind: bytes) -> None:
    member = tarfile.TarInfo("compiled/graph/link")
    member.type, member.linkname = kind, "/etc/passwd"
    file = with_member(packed, tmp_path / "hostile.tar", member)
    refused(file, tmp_path / "home", "is no plain file")


def test_headers_of_other_formats_are_refused(packed: Path, tmp_path: Path) -> None:
    for number, tar_format in enumerate((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT)):
        member = tarfile.TarInfo("compiled/graph/" + "a" * 200)
        file = with_member(packed, tmp_path / f"{number}.tar", member, format=tar_format)
        refused(file, tmp_path / "home", "is no plain file")


def test_a_file_twice_is_refused(packed: Path, tmp_path: Path) -> None:
    for name in ("modules.json", "Modules.json"):
        file = with_member(packed, tmp_path / "hostile.tar", tarfile.TarInfo(name), b"[]")
        refused(file, tmp_path / "home", "twice")


@pytest.mark.parametrize("left", [0, 100, 512, 3000, 100_000])
def test_one_that_is_cut_off_is_refused(packed: Path, tmp_path: Path, left: int) -> None:
    file = tmp_path / "cut.tar"
    file.write_bytes(packed.read_bytes()[:left])
    refused(file, tmp_path / "home", "not what rowvec models pack writes|is cut off")


def test_what_says_it_is_larger_than_it_is_takes_no_room(packed: Path, tmp_path: Path) -> None:
    content = bytearray(packed.read_bytes())
    member = tarfile.TarInfo("rowvec.json")
    for size, said in ((1 << 60, "at most"), (1 << 20, "is cut off|not what")):
        member.size = size
        content[:512] = member.tobuf(tarfile.GNU_FORMAT)
        file = tmp_path / "hostile.tar"
        file.write_bytes(content[:4096])
        refused(file, tmp_path / "home", said)


def entry_with(**fields: object) -> Change:
    def change(name: str, content: bytes) -> bytes:
        if name != "rowvec.json":
            return content
        return json.dumps({**json.loads(content), **fields}).encode()

    return change


def json_of(path: str, content: bytes) -> Change:
    return lambda name, was: content if name == path else was


DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (entry_with(kind="remote"), "of the kind remote are not compiled"),
        (entry_with(kind="word-vectors"), "not compiled|no file|vectors"),
        (entry_with(kind="no-such"), "no-such"),
        (entry_with(url="http://example.com/"), "has a key 'url', which is not taken"),
        (entry_with(path="/etc"), "has a key 'path', which is not taken"),
        (entry_with(name=3), "is not what rowvec models pack writes"),
        (entry_with(aliases="t"), "is not what rowvec models pack writes"),
        (entry_with(sha256="0" * 64), "is not what rowvec models pack writes"),
        (json_of("rowvec.json", DEEP), "is not what rowvec models pack writes"),
        (json_of("rowvec.json", b"[]"), "is not what rowvec models pack writes"),
        (json_of("modules.json", b'["a"]'), "describe no model"),
        (json_of("modules.json", DEEP), "describe no model|cannot read"),
        (json_of("config.json", b"[]"), "describe no model"),
        (json_of("compiled/manifest.json", b"{}"), "cannot be read"),
        (json_of("compiled/manifest.json", b"[]"), "cannot be read"),
        (json_of("compiled/manifest.json", DEEP), "cannot be read"),
    ],
)
def test_contents_that_do_not_fit_are_refused(
    packed: Path, tmp_path: Path, change: Change, said: str
) -> None:
    refused(changed(packed, tmp_path / "hostile.tar", change), tmp_path / "home", said)


def test_an_artifact_of_another_release_is_refused(packed: Path, tmp_path: Path) -> None:
    def change(name: str, content: bytes) -> bytes:
        if name != "compiled/manifest.json":
            return content
        manifest = json.loads(content)
        manifest["made_with"]["form"] = "0"
        return json.dumps(manifest).encode()

    file = changed(packed, tmp_path / "old.tar", change)
    refused(file, tmp_path / "home", "compiled by another release of rowvec")


def test_a_graph_reads_no_file_beyond_its_folder(packed: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(1 << 20))
    (graph,) = [content for member, content in members(packed) if member.name.endswith(GRAPH)]
    read = onnx.load_from_string(graph)
    tensor = next(t for t in read.graph.initializer if len(t.raw_data) >= 1024)
    size = len(tensor.raw_data)
    for location in (str(secret), "../secret"):
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        del tensor.external_data[:]
        for key, value in (("location", location), ("offset", "0"), ("length", str(size))):
            tensor.external_data.add(key=key, value=value)
        folder = tmp_path / "graph"
        folder.mkdir(exist_ok=True)
        (folder / "model.onnx").write_bytes(read.SerializeToString())
        with pytest.raises(ModelError, match="onnxruntime does not read"):
            OnnxGraph(folder / "model.onnx", 1)


def test_a_name_or_a_folder_that_is_taken_changes_nothing(
    packed: Path, tmp_path: Path, rowvec: Rowvec
) -> None:
    models = tmp_path / "models.toml"
    models.write_text('[[model]]\nname = "t"\nkind = "stand-in"\ndimensions = 8\n')
    before = models.read_text()
    done = rowvec("models", "unpack", packed, "--models", models)
    assert done.returncode != 0
    assert "the name 't' is taken" in done.stderr
    assert models.read_text() == before
    assert not list((tmp_path / "models").iterdir())
    done = rowvec("models", "unpack", packed, "--models", models, "--into", tmp_path)
    assert "already" in done.stderr
    done = rowvec("models", "unpack", packed, "--models", models, "--sha256", "0" * 64)
    assert "has the sha256" in done.stderr


def test_what_torch_alone_computes_is_not_packed(
    bert_folder: Callable[..., Path], tmp_path: Path, rowvec: Rowvec
) -> None:
    folder = save(
        tmp_path / "model", Transformer(str(bert_folder())),
        Pooling(32, "weightedmean", include_prompt=False),
    )  # fmt: skip
    models = listed(folder, "sentence-transformers", tmp_path / "here")
    words = ("t", "-o", tmp_path / "m.tar", "--models", models, "--cache-dir", tmp_path)
    done = rowvec("models", "pack", *words)
    assert "owner/tested is computed by torch alone: it weighs tokens" in done.stderr
    assert not (tmp_path / "m.tar").exists()
