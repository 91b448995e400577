"""A request checked against the list of models: what the engine has to do, or why it may not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from rowvec.chunking.cutting import Chunking
from rowvec.chunking.options import resolve_chunking
from rowvec.models.encoding import Encoding, resolve
from rowvec.models.listing import Listing
from rowvec.models.operations import check_operation
from rowvec.models.rank_options import resolve_ranking
from rowvec.models.spec import ModelSpec
from rowvec.protocol.request import Operation, Request
from rowvec.worker.cache import KeyMaker

# Of operation, model and roles there are few; a client may send any roles.
_MOST_BARE = 1000


@dataclass(frozen=True)
class RequestPlan:
    """The model of a request, and its kwargs resolved."""

    op: Operation
    spec: ModelSpec
    encoding: Encoding
    chunking: Chunking | None = None
    top_k: int | None = None

    @cached_property
    def keys(self) -> KeyMaker:
        """What the cache knows its texts by."""
        model = self.spec.description
        return KeyMaker(self.op, model.name, model.revision, self.encoding)


class Planner:
    """Plans requests to a worker that computes on a device."""

    def __init__(self, listing: Listing, device: str) -> None:
        self._listing = listing
        self._device = device
        self._bare: dict[tuple[str, str, tuple[str, ...]], RequestPlan] = {}

    def plan(self, request: Request) -> RequestPlan:
        """As the function does; without kwargs, as most are, once for all requests alike."""
        if request.kwargs or request.query:
            return plan(request, self._listing, self._device)
        asked = (request.op, request.model, request.roles)
        found = self._bare.get(asked)
        if found is None:
            if len(self._bare) >= _MOST_BARE:
                self._bare.clear()
            found = self._bare[asked] = plan(request, self._listing, self._device)
        return found


def plan(request: Request, listing: Listing, device: str = "cpu") -> RequestPlan:
    """The plan of a request to a worker that computes on the device.

    Raises InvalidRequest, or one of its kind.
    """
    spec = listing.find(request.model, request.roles)
    check_operation(request.op, spec.description)
    if request.op == "chunk":
        chunking, rest = resolve_chunking(request.kwargs, spec.description)
        return RequestPlan(
            request.op, spec, resolve(rest, spec.description, device), chunking=chunking
        )
    if request.op == "rerank":
        top_k, rest = resolve_ranking(request.kwargs)
        # A cross-encoder reads the query where others have their prompt.
        encoding = replace(resolve(rest, spec.description, device), prompt=request.query)
        return RequestPlan(request.op, spec, encoding, top_k=top_k)
    return RequestPlan(request.op, spec, resolve(request.kwargs, spec.description, device))
