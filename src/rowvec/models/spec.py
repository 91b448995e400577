"""One entry of the list of models: what its files say of it, and what its kind needs to load it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from rowvec.models.backends.variant import Runtime
from rowvec.models.description import Description
from rowvec.models.device import computed_dtype
from rowvec.models.encoding import prompt_for

# Of three real tokenizers 16, 18 and 20: one of 250,000 words takes 305 MB for a file of 17.
_TOKENIZER_FACTOR = 20


def tokenizer_bytes(size: int) -> int:
    """About the memory that the tokenizers library takes for a file of that size."""
    return _TOKENIZER_FACTOR * size


@dataclass(frozen=True)
class ModelSpec:
    """One model of the list. `options` are the keys that only its kind takes.

    `roles` may use it, everybody where there are none.

    It goes to the engine as JSON, so `options` hold what TOML can say, and nothing else. There
    `runtime` is set, to how that process wants the model computed.
    """

    description: Description
    kind: str
    aliases: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    folder: Path | None = None
    sha256: str | None = None
    warm: bool = False
    memory: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    runtime: Runtime | None = None

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """The spec whose fields were read from JSON."""
        folder, described, runtime = (fields[k] for k in ("folder", "description", "runtime"))
        return cls(
            **{
                **fields,
                "description": Description(
                    **{
                        **described,
                        "reads": tuple(described["reads"]),
                        "backends": tuple(described["backends"]),
                    }
                ),
                "aliases": tuple(fields["aliases"]),
                "roles": tuple(fields["roles"]),
                "folder": None if folder is None else Path(folder),
                "runtime": None if runtime is None else Runtime.from_json(runtime),
            }
        )

    @property
    def name(self) -> str:
        """The name in requests and answers."""
        return self.description.name

    @property
    def device(self) -> str:
        """Where the runtime wants it computed."""
        return "cpu" if self.runtime is None else self.runtime.device

    @property
    def half(self) -> str | None:
        """The type to bring its weights to on the device, None where they stay as stored."""
        stored = self.description.dtype
        asked = None if self.runtime is None else self.runtime.variant.dtype
        computed = computed_dtype(self.device, stored)
        return None if asked is not None or computed == stored else computed

    def prompt(self, input_type: str) -> str | None:
        """The prefix for queries or documents, None where there is none."""
        return prompt_for(self.description.prompts, input_type) or None

    def memory_bytes(self) -> int:
        """Bytes that the model is expected to take: what the list says, else by its files."""
        if self.memory is not None:
            return self.memory
        if self.folder is None:
            return 0
        compiled = self.folder / "compiled"
        if compiled.is_dir():
            weights, tokenizer = list((compiled / "graph").iterdir()), compiled / "tokenizer.json"
        else:
            weights = list(self.folder.rglob("*.safetensors")) or list(self.folder.rglob("*"))
            tokenizer = next(self.folder.rglob("tokenizer.json"), self.folder / "tokenizer.json")
        taken = sum(file.stat().st_size for file in weights if file.is_file())
        return taken + (tokenizer_bytes(tokenizer.stat().st_size) if tokenizer.exists() else 0)
