"""The small JSON files of a model's folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rowvec.errors import ModelError


def read_json(path: Path, *, missing: object = None) -> Any:
    """The content of a JSON file, or `missing` where there is none; raises ModelError."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        if missing is not None:
            return missing
        raise ModelError(f"{path} is missing") from exc
    except (OSError, ValueError) as exc:
        raise ModelError(f"cannot read {path}: {exc}") from exc
