"""What hybrid search reads of a row beside its vector."""

from __future__ import annotations

from collections.abc import Mapping

from rowvec.db.queries import typed
from rowvec.db.session import Session


async def set_text_search(session: Session, arguments: Mapping[str, object]) -> str | None:
    """Says what is read, with the arguments of rowvec.set_text_search, and builds its index.

    Gives the statement that built it, None where it stood. Raises DatabaseError.
    """
    async with session.users_path():
        statement = await session.value(typed("set_text_search"), arguments)
    if statement is None:
        return None
    await session.run(statement)  # Postgres itself made it, from its own catalog
    return str(statement)
