"""The alert rules and the Grafana board: they ask for figures that exist, and each rule fires at what it is for."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.deploy.tools import tool

ROOT = Path(__file__).parent.parent.parent
RULES = ROOT / "deploy" / "prometheus" / "alerts.yaml"
BOARD = ROOT / "deploy" / "grafana" / "framerelay.json"
RUNBOOK = ROOT / "docs" / "runbook.md"
NAME = re.compile(r"framerelay_([a-z_]+)")

# Two hours, a value a minute, of an installation that is well.
WELL = """
framerelay_callbacks_total{instance="r1",outcome="kept"} = 0+30x120
framerelay_callbacks_total{instance="r1",outcome="not_kept"} = 0x120
framerelay_callbacks_total{instance="r1",outcome="held"} = 0x120
framerelay_callbacks_total{instance="r1",outcome="spooled"} = 0x120
framerelay_redis_up{instance="r1"} = 1x120
framerelay_spool_oldest_seconds{instance="r1"} = 0x120
framerelay_acknowledge_seconds_bucket{instance="r1",le="0.1"} = 0+30x120
framerelay_acknowledge_seconds_bucket{instance="r1",le="2.5"} = 0+30x120
framerelay_acknowledge_seconds_bucket{instance="r1",le="+Inf"} = 0+30x120
framerelay_jobs_submitted_total{instance="w1",provider="kling"} = 0+10x120
framerelay_tasks_late_seconds{instance="r1",tasks="light"} = 0x120
framerelay_tasks_late_seconds{instance="r1",tasks="heavy"} = 20x120
framerelay_runs_due_late_seconds{instance="r1"} = 1x120
framerelay_worker_still_seconds{instance="w1"} = 2x120
framerelay_task_seconds_count{instance="w1",task="collect",outcome="gave_up"} = 1x120
framerelay_download_seconds_count{instance="w1",outcome="decoder_failed"} = 1x120
framerelay_join_seconds_count{instance="w1",outcome="ok"} = 0+1x120
framerelay_disk_free_bytes{instance="w1"} = 50e9x120
framerelay_store_seconds_count{instance="w1",call="put",outcome="ok"} = 0+10x120
framerelay_store_seconds_count{instance="w1",call="put",outcome="storage_failed"} = 3x120
framerelay_store_unkept_bytes{instance="w1"} = 0x120
framerelay_notifications_failing{instance="r1"} = 0x120
framerelay_build_info{instance="w1",version="1"} = 1x120
framerelay_build_info{instance="r1",version="1"} = 1x120
framerelay_paid_twice_suspected_total{instance="w1"} = 0x120
framerelay_provider_call_seconds_count{profile="kling",call="submit",outcome="ok"} = 0+10x120
framerelay_provider_call_seconds_count{profile="kling",call="submit",outcome="upstream_rejected"} = 0+1x120
framerelay_provider_call_seconds_count{profile="kling",call="look_up",outcome="upstream_unavailable"} = 0+1x120
framerelay_provider_call_seconds_count{profile="kling",call="submit",outcome="upstream_rate_limited"} = 0+1x120
framerelay_provider_held_shots{instance="r1",provider="kling"} = 3x120
framerelay_provider_jobs{instance="r1",provider="kling"} = 5x120
"""
# And of one where just that is wrong.
ILL = {
    "CallbacksNotKept": """
framerelay_callbacks_total{instance="r1",outcome="not_kept"} = 0x100 0+1x20
""",
    "RedisDown": """
framerelay_redis_up{instance="r1"} = 1x100 0x20
""",
    "SpoolStuck": """
framerelay_redis_up{instance="r1"} = 1x120
framerelay_spool_oldest_seconds{instance="r1"} = 0x100 200+60x20
""",
    "AcknowledgementSlow": """
framerelay_acknowledge_seconds_bucket{instance="r1",le="0.1"} = 0+27x120
framerelay_acknowledge_seconds_bucket{instance="r1",le="2.5"} = 0+30x120
framerelay_acknowledge_seconds_bucket{instance="r1",le="+Inf"} = 0+30x120
""",
    "CallbacksMissing": """
framerelay_jobs_submitted_total{instance="w1",provider="kling"} = 0+10x120
framerelay_callbacks_total{instance="r1",outcome="kept"} = 7x120
""",
    "CallbacksInQuarantine": """
framerelay_callbacks_total{instance="r1",outcome="held"} = 0x110 0+1x10
""",
    "TasksLate": """
framerelay_tasks_late_seconds{instance="r1",tasks="light"} = 0x100 90+60x20
""",
    "RunsNotLookedAt": """
framerelay_runs_due_late_seconds{instance="r1"} = 0x100 150+60x20
""",
    "WorkerStuck": """
framerelay_worker_still_seconds{instance="w1"} = 0x100 40+60x20
""",
    "TasksGiveUp": """
framerelay_task_seconds_count{instance="w1",task="collect",outcome="gave_up"} = _x110 1x10
""",
    "DecoderFails": """
framerelay_download_seconds_count{instance="w1",outcome="decoder_failed"} = 0x100 0+1x20
""",
    "DiskFull": """
framerelay_disk_free_bytes{instance="w1"} = 50e9x100 5e9x20
""",
    "StoreFails": """
framerelay_store_seconds_count{instance="w1",call="put",outcome="storage_failed"} = 0x100 0+2x20
""",
    "NotificationsFail": """
framerelay_notifications_failing{instance="r1"} = 2x120
""",
    "VersionsMixed": """
framerelay_build_info{instance="w1",version="1"} = 1x120
framerelay_build_info{instance="w2",version="2"} = 1x120
""",
    "PaidTwice": """
framerelay_paid_twice_suspected_total{instance="w1"} = 0x110 1x10
""",
    "ProviderDown": """
framerelay_provider_call_seconds_count{profile="kling",call="submit",outcome="ok"} = 0+1x120
framerelay_provider_call_seconds_count{profile="kling",call="look_up",outcome="upstream_unavailable"} = 0+3x120
""",
    "ProviderRefuses": """
framerelay_provider_call_seconds_count{profile="kling",call="submit",outcome="upstream_rejected"} = 0+3x120
framerelay_provider_call_seconds_count{profile="kling",call="submit",outcome="ok"} = 0+1x120
""",
    "ProviderLimits": """
framerelay_provider_call_seconds_count{profile="kling",call="submit",outcome="upstream_rate_limited"} = 0+3x120
framerelay_provider_call_seconds_count{profile="kling",call="submit",outcome="ok"} = 0+4x120
""",
    "ShotsHeld": """
framerelay_provider_held_shots{provider="kling"} = 3x120
framerelay_provider_jobs{provider="kling"} = 0x120
""",
}


def rules() -> list[dict[str, Any]]:
    document = YAML(typ="safe").load(RULES)
    return [rule for group in document["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    return [panel for panel in json.loads(BOARD.read_text(encoding="utf-8"))["panels"] if panel["type"] != "row"]


def queries() -> list[str]:
    return [rule["expr"] for rule in rules()] + [target["expr"] for panel in panels() for target in panel["targets"]]


def figures() -> set[str]:
    """What docs/api.md names; a test there compares that with what is exposed."""
    section = (ROOT / "docs" / "api.md").read_text(encoding="utf-8").partition("### Metrics")[2].partition("\n## ")[0]
    return set(re.findall(r"`framerelay_([a-z_]+)", section))


def test_they_query_metrics_that_exist() -> None:
    """A rule about a figure that was renamed would be silent for ever."""
    names = {re.sub("_(bucket|count|sum)$", "", name) for query in queries() for name in NAME.findall(query)}

    assert names <= figures()
    assert len(names) > 25


def test_each_alert_has_its_row_in_the_runbook() -> None:
    """And says where it is; the runbook has no row for one that is gone."""
    headings = re.findall("^### (\\w+)$", RUNBOOK.read_text(encoding="utf-8"), re.MULTILINE)

    assert headings == [rule["alert"] for rule in rules()]
    assert [rule["annotations"]["runbook"] for rule in rules()] == [
        f"docs/runbook.md#{name.lower()}" for name in headings
    ]
    assert {rule["labels"]["severity"] for rule in rules()} == {"critical", "warning", "info"}
    assert set(ILL) == set(headings)


def test_the_runbook_says_who_looks_at_each_error() -> None:
    """Each event that is ever logged as an error, and each code that it names, is one of the program."""
    text = RUNBOOK.read_text(encoding="utf-8")
    troubles = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    log = troubles.partition("## What the log says")[2].partition("\n## ")[0]
    rows = [line.split("|") for line in log.splitlines() if line.startswith("| `")]
    errors = {name for row in rows if "error" in row[2] for name in re.findall("`(\\w+)`", row[1])}
    cells = [line.split("|")[1] for line in text.partition("## By code")[2].splitlines() if line.startswith("| `")]

    assert {name for cell in cells for name in re.findall("`(\\w+)`", cell)} == errors
    words = set(re.findall("`([a-z]+_[a-z_]+)`", text))
    words_known = set(re.findall("`([a-z_]+)`", troubles)) | {"jobs_at_once", "submits_per_minute", "unknown_token"}
    assert words <= words_known


def test_prometheus_understands_all_of_it(tmp_path: Path) -> None:
    """The rules as they are, and the queries of the board as if they were rules."""
    exprs = [query.replace("$__rate_interval", "5m") for query in queries()]
    board = {"groups": [{"name": "board", "rules": [{"record": f"q{n}", "expr": e} for n, e in enumerate(exprs)]}]}
    (tmp_path / "board.yaml").write_text(json.dumps(board))

    subprocess.run([tool("promtool"), "check", "rules", str(RULES), str(tmp_path / "board.yaml")], check=True)


def test_the_board_shows_something_in_each_panel() -> None:
    """Ids and places are their own, and each panel asks the data source that the reader chose."""
    panels_there = panels()
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels_there]

    assert len({panel["id"] for panel in panels_there}) == len(set(places)) == len(panels_there)
    assert all(target["datasource"]["uid"] == "${datasource}" for panel in panels_there for target in panel["targets"])


@pytest.mark.parametrize("name", [None, *ILL])
def test_an_alert_fires_at_what_it_is_for_and_at_nothing_else(name: str | None, tmp_path: Path) -> None:
    """With *name* just that is wrong; without one all is well."""
    lines = (WELL if name is None else ILL[name]).strip().splitlines()
    series = [dict(zip(("series", "values"), line.split(" = "), strict=True)) for line in lines]
    names = [rule["alert"] for rule in rules()] if name is None else [name]
    number = 0 if name is None else 1
    checks = [
        {
            "expr": f'count(ALERTS{{alertname="{each}",alertstate="firing"}}) or vector(0)',
            "eval_time": "120m",
            "exp_samples": [{"labels": "{}", "value": number}],
        }
        for each in names
    ]
    firing = {
        "expr": 'count(ALERTS{alertstate="firing"}) or vector(0)',
        "eval_time": "120m",
        "exp_samples": [{"labels": "{}", "value": number}],
    }
    tests = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": series, "promql_expr_test": [*checks, firing]}],
    }
    (tmp_path / "tests.yaml").write_text(json.dumps(tests))

    process = subprocess.run(
        [tool("promtool"), "test", "rules", str(tmp_path / "tests.yaml")], capture_output=True, text=True
    )
    assert process.returncode == 0, process.stdout + process.stderr
