"""What the index job stores of an index, for tests that made it by hand."""

from __future__ import annotations

from rowvec.index.kinds import KINDS


def stored(
    method: str, value: int | None = None, *, storage: str = "vector", rescore: int | None = None
) -> str:
    """Assignments of an UPDATE of rowvec.embedding; `value` is that of the kind's setting."""
    kind = KINDS[method]
    columns = {
        "index_kind": f"'{method}'", "index_is_graph": kind.is_graph,
        "index_storage": f"'{storage}'", "setting_name": f"'{kind.setting}'",
        "setting": value, "setting_most": kind.most, "rescore": rescore,
    }  # fmt: skip
    return ", ".join(
        f"{column} = {'NULL' if given is None else given}" for column, given in columns.items()
    )
