"""docs/api.md has a row for every figure that is exposed, and for no other."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from framerelay.cli import serve
from framerelay.cli.http import listening_on
from framerelay.config.keys import Keys
from framerelay.config.metrics import ALL

pytestmark = pytest.mark.anyio

PAGE = Path(__file__).parent.parent.parent / "docs" / "api.md"
NAME = re.compile(r"`framerelay_([a-z_]+)(?:\{([a-z,]+)\})?`")
TYPE = re.compile("^# TYPE framerelay_([a-z_]+) ([a-z]+)$", re.MULTILINE)


def rows() -> dict[str, str | None]:
    """Each name of the tables, with its labels."""
    section = PAGE.read_text(encoding="utf-8").partition("### Metrics")[2].partition("\n## ")[0]
    lines = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `framerelay_")]
    return {name: labels or None for line in lines for name, labels in NAME.findall(line)}


@pytest.fixture
async def kinds(start_relay: Any, redis_url: str, lent_decoders: Any) -> dict[str, str]:
    """Names and kinds of all that a receiver and a worker tell."""
    async with start_relay("http://127.0.0.1:9", worker=False) as relay:
        keys = Keys(api_key=relay.settings.api_key, secret=relay.settings.upstream_key, new_api_key=False)
        with listening_on("127.0.0.1", 0) as listener, lent_decoders():
            alone = serve.SeparateWorker(listener=listener)
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/metrics"
            async with (
                serve.running_worker(relay.settings, keys, redis_url, alone=alone),
                httpx.AsyncClient(trust_env=False) as http,
            ):
                text = (await relay.api.get("/metrics")).text + (await http.get(url)).text
    return dict(TYPE.findall(text))


async def test_every_figure_has_its_row(kinds: dict[str, str]) -> None:
    """People who build a dashboard read what each means, and each one listed exists."""
    assert kinds.keys() == rows().keys()


async def test_kinds_follow_from_names(kinds: dict[str, str]) -> None:
    """As Prometheus has it: counters end in total, times are in seconds, and nothing else is called so."""
    assert {name for name, kind in kinds.items() if kind == "counter"} == {name for name in kinds if "_total" in name}
    assert all(name.endswith("_seconds") for name, kind in kinds.items() if kind == "histogram")


def test_the_labels_are_those_of_the_code() -> None:
    """Of what is counted in the process; what is asked for when somebody looks is held by the tests of that."""
    rows_there = rows()

    assert {each.name: ",".join(each.labels) or None for each in ALL} == {
        each.name: rows_there.get(each.name) for each in ALL
    }
