"""How many of the exact neighbours the index finds, at each setting that was measured."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from rowvec.db import for_psql
from rowvec.index.chart import Curve, chart
from rowvec.index.draw import svg
from rowvec.ui.database import Database
from rowvec.ui.embedding import of
from rowvec.ui.rendering import page


def show(request: Request) -> Response:
    """The chart and the numbers behind it."""
    database: Database = request.app.state.database
    with database.reading() as reading:
        definition = of(request, reading)
        measured, used = reading.measurements(definition["id"])
        target = definition["target_recall"] or reading.setting("target_recall")
    setting = definition["setting_name"] or ""
    title = f"{definition['index_kind']} of {definition['table']}"
    facts = f"recall and latency at each {setting} that was measured"
    label = f"recall against latency by {setting}; the table below has the numbers"
    return page(
        request,
        "recall.html",
        definition=definition,
        measured=measured,
        setting=setting,
        chart=svg(chart(Curve(title, facts, measured, used, target)), label) if measured else None,
        sql=for_psql.measurements(definition["id"]),
    )
