"""A request checked against the list of models: what the engine has to do, or why it may not."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rowvec.models.chunk_options import resolve_chunking
from rowvec.models.chunking import Chunking
from rowvec.models.encoding import Encoding, resolve
from rowvec.models.listing import Listing
from rowvec.models.operations import check_operation
from rowvec.models.rank_options import resolve_ranking
from rowvec.models.spec import ModelSpec
from rowvec.protocol.request import Request


@dataclass(frozen=True)
class Plan:
    """The model of a request, and its kwargs resolved."""

    spec: ModelSpec
    encoding: Encoding
    chunking: Chunking | None = None
    top_k: int | None = None


def plan(request: Request, listing: Listing, device: str = "cpu") -> Plan:
    """The plan of a request to a worker that computes on the device.

    Raises InvalidRequest, or one of its kind.
    """
    spec = listing.find(request.model, request.roles)
    check_operation(request.op, spec.description)
    if request.op == "chunk":
        chunking, rest = resolve_chunking(request.kwargs, spec.description)
        return Plan(spec, resolve(rest, spec.description, device), chunking=chunking)
    if request.op == "rerank":
        top_k, rest = resolve_ranking(request.kwargs)
        # A cross-encoder reads the query where others have their prompt.
        encoding = replace(resolve(rest, spec.description, device), prompt=request.query)
        return Plan(spec, encoding, top_k=top_k)
    return Plan(spec, resolve(request.kwargs, spec.description, device))
