"""Where things are: the checkout, its recipes, the installed command."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "docs" / "recipes"
ROWVEC = Path(sys.executable).parent / "rowvec"

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks_of(recipe: str, *languages: str) -> list[tuple[str, str]]:
    """The blocks of a recipe in order, each with its language: of sh and SQL, or of those given."""
    wanted = languages or ("sh", "sql")
    blocks = [
        (language, text)
        for language, text in _BLOCK.findall((RECIPES / recipe).read_text())
        if language in wanted
    ]
    assert blocks, f"{recipe} has no block of {' or '.join(wanted)}"
    return blocks


def clean_environment(**given: str) -> dict[str, str]:
    """The environment without settings of rowvec, libpq or Ray, and with the given ones."""
    foreign = ("ROWVEC_", "PG", "RAY_")
    return {k: v for k, v in os.environ.items() if not k.startswith(foreign)} | given
