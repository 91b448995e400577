"""`kwargs` of a request, checked against a model and resolved to what changes its vectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from rowvec.errors import InvalidRequest, NotSupported, RequestTooLarge
from rowvec.models.backends.variant import AUTOMATIC, Variant, resolve_variant
from rowvec.models.description import Description
from rowvec.models.device import computed_dtype, is_named

OnTruncate = Literal["truncate", "error"]

KNOWN = (
    "prompt", "prompt_name", "input_type", "instruction", "device", "revision", "truncate_dim",
    "normalize", "batch_size", "timeout_ms", "on_truncate", "backend", "dtype", "precision",
)  # fmt: skip

# It is put before every text of a request: a long one multiplies the request.
_MAX_PROMPT_CHARACTERS = 10_000

_PROMPT_KEYS = ("prompt", "prompt_name", "input_type", "instruction")

# sentence-transformers' own order for documents (encode_document).
_PROMPT_NAMES = {"query": ("query",), "document": ("document", "passage", "corpus")}


@dataclass(frozen=True)
class Encoding:
    """Everything of a request, its texts aside, that a vector depends on.

    Two kwargs that mean the same give equal encodings. `on_truncate` changes no vector, only
    whether there is one.
    """

    prompt: str = ""
    truncate_dim: int | None = None
    normalize: bool = False
    on_truncate: OnTruncate = "truncate"
    variant: Variant = AUTOMATIC


def resolve(kwargs: Mapping[str, object], model: Description, device: str = "cpu") -> Encoding:
    """The encoding that kwargs ask of a model, computed on `device`; JSON null is not given.

    Raises InvalidRequest for an unknown key (listing the known ones) or a value that does not fit,
    NotSupported for what this release does not do. Messages never show a prompt.
    """
    given = {key: value for key, value in kwargs.items() if value is not None}
    unknown = sorted(set(given) - set(KNOWN))
    if unknown:
        raise InvalidRequest(
            f"unknown kwargs: {', '.join(map(repr, unknown))}", hint=f"known: {', '.join(KNOWN)}"
        )
    for key in ("batch_size", "timeout_ms"):
        # Vectors do not depend on them: batches are cut by tokens, and the deadline came apart.
        _positive(given, key)
    if "instruction" in given and not model.takes_instruction:
        raise NotSupported(f"{model.name} takes no instruction", hint="use prompt instead")
    _refuse_other_places(given, device)
    if given.get("revision") not in (None, model.revision):
        # No fault of the text: a job that met it must not set rows aside one by one.
        raise NotSupported(
            f"the list of models pins revision {model.revision or '(none)'} of {model.name}",
            hint="the vectors of a column are of one revision: rowvec.alter_embedding with the same"
            " model starts the column again with this one",
        )
    truncate_dim, normalize = _shape(given, model)
    variant = resolve_variant(
        given.get("backend"),
        given.get("dtype"),
        own=computed_dtype(device, model.dtype),
        offered=model.backends if device == "cpu" else model.backends[:1],
        model=model.name,
    )
    if route := model.routes.get(str(given.get("input_type"))):
        variant = replace(variant, route=route)
    return Encoding(
        prompt=_prompt(given, model),
        truncate_dim=truncate_dim,
        normalize=normalize,
        on_truncate=_on_truncate(given),
        variant=variant,
    )


def _refuse_other_places(given: Mapping[str, object], device: str) -> None:
    """Of what this worker has not: another device, vectors of another type."""
    if not is_named(asked := given.get("device", device), device):
        raise NotSupported(
            f"the worker has no device {str(asked)[:40]!r}: it computes on the {device}",
            hint=f"leave device out, or say {device}",
        )
    if (precision := given.get("precision", "float32")) != "float32":
        raise NotSupported(
            f"precision {str(precision)[:40]!r} is not given out: vectors are float32",
            hint="store them as halfvec or with pgvector's binary_quantize();"
            " dtype makes the model compute in fewer bits",
        )


def _shape(given: Mapping[str, object], model: Description) -> tuple[int | None, bool]:
    """To how many dimensions vectors are cut, and whether they are brought to length 1 then."""
    for key in ("truncate_dim", "normalize"):
        if key in given and model.gives != "vector":
            raise InvalidRequest(f"{model.name} gives a {model.gives}, so {key} has no meaning")
    truncate_dim = _positive(given, "truncate_dim")
    if truncate_dim is not None and truncate_dim > model.dimensions:
        raise InvalidRequest(
            f"truncate_dim {truncate_dim} is more than the {model.dimensions} dimensions"
            f" of {model.name}"
        )
    if truncate_dim == model.dimensions:
        truncate_dim = None
    normalize = given.get("normalize", False)
    if not isinstance(normalize, bool):
        raise InvalidRequest("normalize must be true or false")
    if model.normalizes:
        # What the model made one long stays so when it is cut.
        return truncate_dim, truncate_dim is not None
    return truncate_dim, normalize


def _prompt(given: Mapping[str, object], model: Description) -> str:
    ways = [key for key in _PROMPT_KEYS if key in given]
    if len(ways) > 1:
        raise InvalidRequest(f"{' and '.join(ways)} exclude each other")
    if not ways:
        return model.default_prompt
    value = given[ways[0]]
    if not isinstance(value, str):
        raise InvalidRequest(f"{ways[0]} must be a text")
    match ways[0]:
        case "prompt" | "instruction":
            if len(value) > _MAX_PROMPT_CHARACTERS:
                raise RequestTooLarge(
                    f"{ways[0]} has {len(value)} characters, at most {_MAX_PROMPT_CHARACTERS}"
                    " stand before every text"
                )
            # An instruction is read as a prompt is; its kind of model leaves it out of pooling.
            return value
        case "prompt_name":
            if value not in model.prompts:
                raise InvalidRequest(
                    f"{model.name} has no prompt of that name",
                    hint=f"its prompts: {', '.join(sorted(model.prompts)) or 'none'}",
                )
            return model.prompts[value]
        case _:
            if value not in _PROMPT_NAMES:
                raise InvalidRequest("input_type must be query or document")
            return prompt_for(model.prompts, value)


def prompt_for(prompts: Mapping[str, str], input_type: str) -> str:
    """The model's own prefix for queries or documents, empty where it has none.

    An empty `document` before a `passage` is a placeholder that the library saves, no prompt.
    """
    return next((prompts[n] for n in _PROMPT_NAMES[input_type] if prompts.get(n)), "")


def _positive(given: Mapping[str, object], key: str) -> int | None:
    value = given.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidRequest(f"{key} must be a whole number, at least 1")
    return value


def _on_truncate(given: Mapping[str, Any]) -> OnTruncate:
    value = given.get("on_truncate", "truncate")
    if value not in get_args(OnTruncate):
        raise InvalidRequest("on_truncate must be truncate or error")
    found: OnTruncate = value
    return found
