"""What a kind of model is: a class that takes keys of models.toml, describes a model and loads it.

A new kind is one subclass of `Family`, registered under its name by an entry point of the group
`rowvec.models` (docs/recipes/own-model.md).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from rowvec.models.description import Description
from rowvec.models.embedder import Embedder
from rowvec.models.sparse_vector import SparseEmbedder
from rowvec.models.spec import ModelSpec

Keys = Mapping[str, type | tuple[type, ...]]


@dataclass(frozen=True)
class Entry:
    """A [[model]] entry after its keys and their types were checked.

    `names` are all that the model is known by: its name, its aliases, its id on the hub. `options`
    are the keys that the family asked for. `folder` exists, where the family has one.
    """

    name: str
    names: tuple[str, ...] = ()
    folder: Path | None = None
    revision: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


class Family(ABC):
    """A kind of model. Subclasses are never instantiated; they have only these members.

    The listener imports a family to describe its models, so its module must import nothing heavy
    (torch, for one) outside of `load`, which only the engine calls.
    """

    keys: ClassVar[Keys] = {}
    """The keys of a [[model]] entry that only this kind takes, with their types."""

    has_folder: ClassVar[bool] = True
    """Whether the model is a folder: then one of package, path and hub is demanded."""

    computes_here: ClassVar[bool] = True
    """Whether `forward` uses this machine; where it only waits, other models do not wait for it."""

    @classmethod
    def compiles(cls, description: Description) -> bool:  # noqa: ARG003
        """Whether a model is compiled before it is loaded, so that it needs no torch."""
        return False

    @classmethod
    @abstractmethod
    def describe(cls, entry: Entry) -> Description:
        """What is known without loading; raises ModelError, or ConfigError for a bad option."""

    @classmethod
    @abstractmethod
    def load(cls, spec: ModelSpec) -> Embedder | SparseEmbedder:
        """The model, ready to compute; raises ModelError."""
