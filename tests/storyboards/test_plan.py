"""What a storyboard would do and cost, and what a person is warned of."""

import re
from pathlib import Path
from typing import Any

import pytest

from framerelay.network.policy import TrustedHosts
from framerelay.storyboards import cautions
from framerelay.storyboards.plan import Plan, plan_of
from framerelay.storyboards.storyboard import check_storyboard, read_storyboard
from framerelay.upstream import abilities, picture_check

ROOT = Path(__file__).parents[2]
MODEL = "seedance-1.5-pro-1080p"


def planned(*shots: dict[str, Any], **top: Any) -> Plan:
    """The plan of *shots*, each with a prompt."""
    return plan_of(check_storyboard({"model": MODEL, "shots": [{"prompt": "a", **shot} for shot in shots], **top}))


def warned(*shots: dict[str, Any], **top: Any) -> list[tuple[str, str]]:
    """Code and place of each warning."""
    return [(caution.code, caution.place) for caution in planned(*shots, **top).cautions]


def test_jobs_are_takes_and_the_longest_chain_follows_the_frames() -> None:
    """Two scenes side by side: three hand-offs in one, a branch and takes in the other."""
    text = """
    model: m
    scenes:
      - {id: one, shots: [{id: a, prompt: x}, {id: b, prompt: x}, {id: c, prompt: x}]}
      - {id: two, shots: [{id: d, prompt: x, takes: 3}, {id: e, prompt: x, from: b}, {id: f, prompt: x, from: cut}]}
    """
    plan = plan_of(read_storyboard(text, form="yaml"))

    assert (plan.jobs, plan.longest_chain, plan.budget_jobs) == (8, 3, None)
    assert [(scene, [shot.id for shot in shots]) for scene, shots in plan.scenes()] == [
        ("one", ["a", "b", "c"]),
        ("two", ["d", "e", "f"]),
    ]


def test_the_id_depends_on_the_content_and_not_on_the_form() -> None:
    """YAML and JSON, order of keys, defaults or shot: the same plan. Any change of meaning: another."""
    yaml = read_storyboard("title: t\nmodel: m\ndefaults: {seed: 7}\nshots: [{prompt: 雨}]\n", form="yaml")
    json = read_storyboard('{"shots": [{"seed": 7, "prompt": "雨"}], "model": "m", "title": "t"}', form="json")
    ids = {plan_of(yaml).id, plan_of(json).id}

    assert len(ids) == 1
    assert re.fullmatch("plan_[0-9a-f]{24}", ids.pop())
    changes: list[dict[str, Any]] = [{}, {"title": "u"}, {"model": "n"}, {"budget": {"jobs": 2}}]
    changes += [{"notify_url": "https://example.com/"}]
    shots: list[dict[str, Any]] = [{"gate": "approve"}, {"takes": 2}, {"takes": 2, "pick": "first"}, {"id": "z"}]
    shots += [{"seed": 1}, {"prompt": "b"}, {"first_frame": "file:a.png"}]
    shot_ids = {planned({}, **change).id for change in changes} | {planned(shot).id for shot in shots}
    assert len(shot_ids) == len(changes) + len(shots)


CASES: dict[str, tuple[list[dict[str, Any]], dict[str, Any], list[tuple[str, str]]]] = {
    "a watermark that is handed on": (
        [{"watermark": True}, {}],
        {},
        [("watermark_handed_on", "shots[0].watermark")],
    ),
    "a watermark that nobody begins with": ([{}, {"watermark": True}], {}, []),
    "a watermark that the provider's own frame lacks": (
        [{}, {}],
        {"defaults": {"watermark": True, "return_last_frame": True}},
        [],
    ),
    "a fifth shot in a row": ([{}] * 5, {}, [("long_chain", "shots[4]")]),
    "seven in a row are said once": ([{}] * 7, {}, [("long_chain", "shots[4]")]),
    "four in a row": ([{}] * 4, {}, []),
    "a bridge anchors": ([{}, {}, {}, {"from": "bridge", "last_frame": "file:a.png"}, {}, {}, {}], {}, []),
    "a cut anchors": ([{}, {}, {}, {"from": "cut"}, {}, {}, {}], {}, []),
    "another ratio": (
        [{}, {"ratio": "9:16"}],
        {"defaults": {"ratio": "16:9"}},
        [("ratio_changes", "shots[1].ratio")],
    ),
    "another ratio after a cut": ([{}, {"from": "cut", "ratio": "9:16"}], {"defaults": {"ratio": "16:9"}}, []),
    "an adaptive ratio": ([{}, {"ratio": "adaptive"}], {"defaults": {"ratio": "16:9"}}, []),
    "another resolution": (
        [{"resolution": "720p"}, {"resolution": "1080p"}],
        {},
        [("resolution_changes", "shots[1].resolution")],
    ),
    "references beside a frame": (
        [{}, {}],
        {"defaults": {"reference_image_urls": ["https://example.com/a.png"]}},
        [("frame_beside_references", "defaults.reference_image_urls")],
    ),
    "references put away": (
        [{}, {"reference_image_urls": []}],
        {"defaults": {"reference_image_urls": ["https://example.com/a.png"]}},
        [],
    ),
    "a draft asked for too much": (
        [{"draft": True, "return_last_frame": True, "resolution": "720p", "service_tier": "flex"}],
        {},
        [
            ("draft_last_frame", "shots[0].return_last_frame"),
            ("draft_resolution", "shots[0].resolution"),
            ("draft_tier", "shots[0].service_tier"),
        ],
    ),
    "a draft": ([{"draft": True, "resolution": "480p"}], {}, []),
    "a budget that ends before the film": (
        [{}, {"takes": 2, "pick": "first"}],
        {"budget": {"jobs": 2}},
        [("budget_too_small", "budget.jobs")],
    ),
    "a budget that is enough": ([{}, {}], {"budget": {"jobs": 2}}, []),
    "a gate that nothing leads to": ([{"gate": "approve"}], {}, [("gate_without_frame", "shots[0].gate")]),
    "a gate before a shot that continues": ([{}, {"gate": "approve"}], {}, []),
    "a clip too short": ([{"duration": 2}], {}, [("duration_out_of_range", "shots[0].duration")]),
    "a length of half seconds": ([{"duration": 5.5}], {}, [("duration_out_of_range", "shots[0].duration")]),
    "a length that the model chooses": ([{"duration": -1}], {}, []),
    "two lengths": ([{"duration": 5, "frames": 121}], {}, [("frames_beside_duration", "shots[0].frames")]),
    "two ratios": ([{"ratio": "16:9", "aspect_ratio": "1:1"}], {}, [("two_ratios", "shots[0].aspect_ratio")]),
    "an expiry of minutes": (
        [{"execution_expires_after": 600}],
        {},
        [("expiry_out_of_range", "shots[0].execution_expires_after")],
    ),
    "a frame at home": (
        [{"first_frame": "http://nas.local/a.png"}],
        {},
        [("address_not_public", "shots[0].first_frame")],
    ),
    "references at home": (
        [{"reference_video_urls": ["https://192.168.1.2/a.mp4"]}],
        {},
        [("address_not_public", "shots[0].reference_video_urls")],
    ),
    "a public frame": ([{"first_frame": "https://example.com/a.png"}], {}, []),
}


@pytest.mark.parametrize("case", CASES)
def test_it_warns_of_what_is_likely_to_disappoint_and_of_nothing_else(case: str) -> None:
    """Code and place, for each thing that there is a check for; and no word about what is well."""
    shots, top, expected = CASES[case]

    assert warned(*shots, **top) == expected


def test_a_warning_has_its_line_and_names_the_shots() -> None:
    """As mistakes have it; what several shots have from one place is reported once."""
    text = "model: m\ndefaults:\n  watermark: true\nshots:\n" + "  - {prompt: a}\n" * 4
    (caution,) = plan_of(read_storyboard(text, form="yaml")).cautions

    assert str(caution).startswith("line 3, defaults.watermark: the watermark would be handed on")
    assert caution.message.endswith("(s1, s2, s3)")


def test_it_warns_of_an_address_that_a_receiver_would_refuse() -> None:
    """As far as the settings at hand say; without any it is not asked."""
    board = read_storyboard("model: m\nnotify_url: http://n8n:5678/x\nshots: [{prompt: a}]\n", form="yaml")
    (caution,) = plan_of(board, TrustedHosts([])).cautions

    assert (caution.code, caution.place, caution.line) == ("notify_url_refused", "notify_url", 2)
    assert plan_of(board, TrustedHosts(["n8n:5678"])) == plan_of(board)


def test_no_sample_of_ours_is_warned_of() -> None:
    """What the docs show is how it is done."""
    for sample in [*(ROOT / "docs" / "samples").glob("*.yaml"), ROOT / "cli" / "demo.yaml"]:
        assert plan_of(read_storyboard(sample.read_bytes(), form="yaml")).cautions == (), sample


def test_the_page_about_plans_explains_every_warning() -> None:
    """Each code that can be told has its row, and no other has."""
    page = (ROOT / "docs" / "plan.md").read_text(encoding="utf-8").partition("## Warnings")[2]
    modules = (cautions, abilities, picture_check)
    source = "".join(Path(module.__file__).read_text(encoding="utf-8") for module in modules)
    codes = set(re.findall(r'(?:yield|return) "([a-z_]+)", [(tf]', source))

    assert codes == {
        code for row in re.findall(r"^\| (`.*?) \|", page, re.M) for code in re.findall("`([a-z_]+)`", row)
    }
    assert codes >= {code for _, _, case_warnings in CASES.values() for code, _ in case_warnings}
