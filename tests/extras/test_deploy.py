"""What deploy/ offers: units that systemd takes, alerts that fire, a dashboard of what there is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from rowvec.cli.exposition import GAUGES, exposition
from support.commands import run_in_process
from support.http_worker import Client
from support.places import ROOT, ROWVEC
from support.postgres import Database
from support.skips import missing
from support.workers import Worker

DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())
RULES = DEPLOY / "prometheus" / "rowvec.rules.yml"
DASHBOARD = json.loads((DEPLOY / "grafana" / "rowvec.json").read_text())
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]

_METRIC = re.compile(r"\browvec_\w+")

# Series that make each alert fire, over two hours, a value a minute.
FIRES = {
    "RowvecWorkerDown": ['up{job="rowvec"} 0x120'],
    "RowvecEngineDown": ["rowvec_engine_up 0x120"],
    "RowvecEngineRestarts": ["rowvec_engine_restarts_total 0+1x120"],
    "RowvecQueueIsOld": ["rowvec_queue_oldest_seconds 31x120"],
    "RowvecRefusesRequests": ['rowvec_requests_total{outcome="53400"} 0+1x120'],
    "RowvecNobodyFills": [
        "rowvec_embedding_pending_rows 5x120", "rowvec_embedding_failed_rows 1x120",
        "rowvec_embedding_jobs 0x120", "rowvec_embedding_paused 0x120",
    ],
    "RowvecSyncIsBehind": ["rowvec_embedding_lag_seconds 301x120"],
    "RowvecRowsAreRefused": ["rowvec_embedding_failed_rows 0+1x120"],
    "RowvecIndexIsWorn": ["rowvec_embedding_index_is_advised 1x480"],
    "RowvecRecallIsOld": ["rowvec_embedding_recall_age_seconds 2600000x120"],
    "RowvecStatusIsOld": ['node_textfile_mtime_seconds{file="/x/rowvec.prom"} 0x120'],
}  # fmt: skip

# And series that are well, over which none may.
QUIET = [
    'up{job="rowvec"} 1x480', "rowvec_engine_up 1x480", "rowvec_engine_restarts_total 1x480",
    "rowvec_queue_oldest_seconds 1x480", 'rowvec_requests_total{outcome="ok"} 0+9x480',
    "rowvec_embedding_pending_rows 5x480", "rowvec_embedding_failed_rows 1x480",
    "rowvec_embedding_jobs 1x480", "rowvec_embedding_paused 0x480",
    "rowvec_embedding_lag_seconds 1x480", "rowvec_embedding_index_is_advised 0x480",
    "rowvec_embedding_recall_age_seconds 9x480",
]  # fmt: skip


def promtool(*words: object, text: str | None = None) -> str:
    program = shutil.which("promtool")
    if program is None:
        missing("promtool", "promtool is not installed: apt install prometheus")
    done = subprocess.run(
        [program, *map(str, words)], input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_rules(folder: Path, tests: list[dict[str, Any]]) -> None:
    file = folder / "tests.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "tests": tests}))
    promtool("test", "rules", file)


def values(series: list[str]) -> list[dict[str, str]]:
    return [dict(zip(("series", "values"), one.rsplit(" ", 1), strict=True)) for one in series]


def alerts() -> list[str]:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    return [rule["alert"] for rule in group["rules"]]


def test_the_rules_are_valid_and_all_are_tested() -> None:
    assert alerts() == list(FIRES)
    promtool("check", "rules", RULES)


@pytest.mark.parametrize("alert", FIRES)
def test_an_alert_fires(tmp_path: Path, alert: str) -> None:
    """In terms of the metric of alerts, as what is written beside an alert hangs on its labels."""
    run_rules(tmp_path, [{
        "interval": "1m",
        "input_series": values(FIRES[alert]),
        "promql_expr_test": [{
            "expr": f'count(ALERTS{{alertname="{alert}", alertstate="firing"}})',
            "eval_time": "7h" if alert == "RowvecIndexIsWorn" else "1h",
            "exp_samples": [{"labels": "{}", "value": 1}],
        }],
    }])  # fmt: skip


def test_no_alert_fires_where_all_is_well(tmp_path: Path) -> None:
    run_rules(tmp_path, [{
        "interval": "1m",
        "input_series": values(QUIET),
        "promql_expr_test": [{"expr": "ALERTS", "eval_time": "7h", "exp_samples": []}],
    }])  # fmt: skip


def test_rules_and_dashboard_name_metrics_that_exist(worker: Worker) -> None:
    text = Client(worker).ask("GET", "/metrics")[1]
    known = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    known |= {f"{name}_bucket" for name in known}
    known |= {f"rowvec_embedding_{name}" for name, _, _ in GAUGES}
    rules = yaml.safe_load(RULES.read_text())["groups"][0]["rules"]
    used = {name for one in rules for name in _METRIC.findall(one["expr"])}
    used |= {name for one in EXPRESSIONS for name in _METRIC.findall(one)}
    assert used - {"rowvec_status"} <= known, used - known


def test_the_dashboard_asks_in_valid_promql(tmp_path: Path) -> None:
    assert len(EXPRESSIONS) >= 15
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    rules = [{"record": f"panel:{n}", "expr": expr} for n, expr in enumerate(EXPRESSIONS)]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    promtool("check", "rules", file)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_takes_the_unit(tmp_path: Path, unit: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        missing("systemd", "systemd-analyze is not installed")
    for one in UNITS:
        # Where the test's rowvec is, and as a user that every machine has.
        text = one.read_text().replace("/opt/rowvec/bin/rowvec", str(ROWVEC))
        (tmp_path / one.name).write_text(text.replace("User=rowvec", "User=daemon"))
    done = subprocess.run(
        [program, "verify", "--man=no", tmp_path / unit.name],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_the_counts_of_embeddings_are_read_by_prometheus(database: Database) -> None:
    with database.connect() as connection:
        connection.execute('CREATE TABLE "a \\ ""table""" (id int PRIMARY KEY, body text)')
        connection.execute('INSERT INTO "a \\ ""table""" VALUES (1, \'one\'), (2, \'two\')')
        connection.execute(
            'SELECT rowvec.create_embedding($$"a \\ ""table"""$$, \'stand-in-small\', \'body\')'
        )
    done = run_in_process("status", "--prometheus", "--dsn", database.dsn)
    assert done.returncode == 0, done.stderr
    (pending,) = (x for x in done.stdout.splitlines() if x.startswith("rowvec_embedding_pending"))
    assert pending.endswith(" 2.0")
    assert promtool("check", "metrics", text=done.stdout) == ""


def test_without_an_embedding_the_metrics_are_still_described() -> None:
    assert len(list(exposition([]))) == 2 * len(GAUGES)
