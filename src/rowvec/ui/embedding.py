"""The embedding that an address names."""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request

from rowvec.db.page_rows import PageRows


def of(request: Request, reading: PageRows) -> dict[str, Any]:
    """The definition with the number in the address; raises HTTPException 404, DatabaseError."""
    number: int = request.path_params["id"]
    definition = reading.embedding(number)
    if definition is None:
        raise HTTPException(404, f"there is no embedding with the number {number}")
    return definition
