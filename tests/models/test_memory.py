"""What a compiled model counts in the budget is what the process really takes for it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models

from rowvec.models.backends.variant import Runtime
from rowvec.models.listing import read_listing
from rowvec.models.loading import compiled
from rowvec.models.spec import tokenizer_bytes

# What the libraries take once, and what the allocator keeps, beside the model itself.
_SLACK_BYTES = 40_000_000

_RESIDENT = """
import json, os, sys
from pathlib import Path
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
"""

_LOAD = f"""{_RESIDENT}
import numpy, onnxruntime, tokenizers
from rowvec.models.compiled.serving import serve
from rowvec.models.loading import compiled, load
from rowvec.models.spec import ModelSpec
spec = ModelSpec.from_json(json.loads(sys.stdin.readline()))
before = resident()
model = load(spec, compiled(spec))
model.forward(model.tokenize(["a text"], ""))
print(json.dumps([resident() - before, model.memory_bytes]))
"""

_TOKENIZER = f"""{_RESIDENT}
from tokenizers import Tokenizer
before = resident()
tokenizer = Tokenizer.from_file(sys.stdin.readline().strip())
print(json.dumps(resident() - before))
"""

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="only Linux says what is resident"
)


def run(code: str, line: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], input=line, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_a_model_counts_what_it_takes(model_cache: Path) -> None:
    runtime = Runtime(compiled=model_cache / "compiled", threads=2)
    spec = replace(read_listing(None).specs[0], runtime=runtime)
    compiled(spec)
    line = json.dumps(asdict(spec), default=str)
    # The first to load it writes the form for this processor, and keeps some memory of that.
    run(_LOAD, line)
    taken, counted = json.loads(run(_LOAD, line))
    assert 0.6 * counted < taken < 1.2 * counted + _SLACK_BYTES


def test_a_large_tokenizer_counts(tmp_path: Path) -> None:
    vocabulary = {f"word{n}": n for n in range(200_000)}
    file = tmp_path / "tokenizer.json"
    Tokenizer(models.WordPiece(vocabulary, unk_token="word0")).save(str(file))
    taken = json.loads(run(_TOKENIZER, str(file)))
    assert taken / 2 < tokenizer_bytes(file.stat().st_size) < 4 * taken
