"""The profiles that come with FrameRelay: without mistakes, and right about every body that we know of."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from framerelay.upstream.profile_file import load_shipped, mistakes_in, profile_names
from framerelay.upstream.reading import challenge_in
from framerelay.upstream.understanding import differences, understand
from framerelay.upstream.verifiers import SCHEMES, read_verifiers
from tests.upstream.provider_bodies import ANSWERS, FINAL, REFUSED_WITH, kind_of, name_of, read

ROOT = Path(__file__).parents[2]
PROFILES = ROOT / "upstream" / "profiles"
PROMISED = """
ark byteplus fal replicate kling kling-legacy minimax hailuo kie piapi luma vidu pixverse wavespeed openrouter
openai-videos runway dashscope veo jobs
"""


def test_every_promised_profile_is_shipped() -> None:
    """By the name that a person writes into ``framerelay.yaml``."""
    assert set(PROMISED.split()) <= set(profile_names())
    assert {body["provider"] for body in ANSWERS} <= set(profile_names())


@pytest.mark.parametrize("name", profile_names())
def test_a_shipped_profile_has_no_mistakes(name: str) -> None:
    """It is named like its file, dated, says where it is from, and which variable its key is usually in."""
    assert mistakes_in(PROFILES / f"{name}.yaml") == ()
    profile = load_shipped(name)
    assert (profile.id, profile.checked) == (name, "2026-11-29")
    assert profile.source
    assert profile.key_env
    assert profile.examples
    assert profile.models or name in ("jobs", "openai-videos")


@pytest.mark.parametrize("name", profile_names())
def test_the_examples_of_a_shipped_profile_are_read_as_they_say(name: str) -> None:
    """This is what ``provider check`` does with anybody's profile."""
    profile = load_shipped(name)
    for example in profile.examples:
        body = json.dumps(example.body).encode()
        understanding = understand(profile, example.read_as, body, status=example.http)
        assert differences(example.expect, understanding) == [], example.source


@pytest.mark.parametrize("name", profile_names())
def test_what_is_guessed_is_a_place_in_the_profile(name: str) -> None:
    """A place that is not there would mark nothing."""
    profile = load_shipped(name)
    for place in profile.guessed:
        value: Any = profile
        for key in place.split("."):
            value = value[key] if isinstance(value, dict) else getattr(value, key)


@pytest.mark.parametrize("name", profile_names())
def test_the_signature_of_a_profile_makes_a_verifier(name: str, tmp_path: Path) -> None:
    """Its options are those of the scheme, as ``verify:`` takes them."""
    signature = load_shipped(name).callback.signature
    if signature == "none":
        return
    secret = {"secret_env": signature.secret_env} if signature.secret_env else {}
    path = tmp_path / "framerelay.yaml"
    path.write_text(json.dumps({"verify": {"scheme": signature.scheme, **secret, **signature.options}}))
    assert read_verifiers(path, {signature.secret_env or "": "whsec_c2VjcmV0"}).upstream is not None


# --- the 80 bodies -----------------------------------------------------------------------------------------------

STATES = {
    "create_answer": ("accepted",),
    "get_running": ("queued", "running"),
    "get_success": ("succeeded",),
    "get_failed": ("failed",),
    "callback_success": ("succeeded",),
    "callback_failed": ("failed",),
    "callback_progress": ("queued", "running", "unknown"),
    "error": ("refused",),
}


@pytest.mark.parametrize("body", ANSWERS, ids=name_of)
def test_every_body_is_read_as_what_it_is(body: dict[str, Any]) -> None:
    """With the job's id where it has one, and the family of what went wrong."""
    status = REFUSED_WITH[body["provider"]] if body["kind"] == "error" else 200
    understanding = read(body["body"], body["provider"], kind_of(body), status=status)

    assert understanding["state"] in STATES[body["kind"]]
    assert (understanding["error"] is not None) == (understanding["state"] in ("failed", "refused"))
    if body["kind"] == "create_answer":
        assert understanding["job_ids"]


@pytest.mark.parametrize("body", ANSWERS, ids=name_of)
def test_every_body_is_an_example_of_its_profile(body: dict[str, Any]) -> None:
    """With what exactly has to be read from it, which the kind alone does not say."""
    examples = load_shipped(body["provider"]).examples
    assert any(example.body == body["body"] and example.read_as == kind_of(body) for example in examples)


@pytest.mark.parametrize("body", [body for body in ANSWERS if body["kind"] == "error"], ids=name_of)
def test_a_refusal_is_never_the_end_of_a_job(body: dict[str, Any]) -> None:
    """Whatever status the question was refused with: a job that goes on would be given up, and paid."""
    for status in (200, REFUSED_WITH[body["provider"]], 500):
        assert read(body["body"], body["provider"], "get", status=status)["state"] == "unknown"


REFUSALS: list[tuple[str, int, dict[str, Any], str, str | None]] = [
    ("ark", 429, {"error": {"code": "QuotaExceeded", "message": "…"}}, "refused", "quota"),
    ("ark", 429, {"error": {"code": "RateLimitExceeded.EndpointRPMExceeded"}}, "refused", "rate"),
    (
        "ark",
        400,
        {"error": {"code": "InputImageSensitiveContentDetected.PrivacyInformation"}},
        "refused",
        "image_moderated",
    ),
    ("ark", 400, {"error": {"code": "InputTextSensitiveContentDetected"}}, "refused", "text_moderated"),
    ("ark", 403, {"error": {"code": "AccountOverdueError"}}, "refused", "account"),
    ("byteplus", 404, {"error": {"code": "ModelNotOpen"}}, "refused", "account"),
    ("ark", 500, {"error": {"code": "InternalServiceError"}}, "unknown_outcome", None),
    (
        "fal",
        422,
        {"detail": [{"loc": ["body", "image_url"], "type": "content_policy_violation"}]},
        "refused",
        "image_moderated",
    ),
    (
        "fal",
        422,
        {"detail": [{"loc": ["body", "prompt"], "type": "content_policy_violation"}]},
        "refused",
        "text_moderated",
    ),
    (
        "fal",
        422,
        {"detail": [{"loc": ["body", "prompt"], "msg": "field required", "type": "x"}]},
        "refused",
        "request_invalid",
    ),
    ("fal", 504, {"detail": "…", "error_type": "startup_timeout"}, "unknown_outcome", None),
    # Kling's HTTP statuses mislead: 429 is also said of an empty account.
    ("kling", 401, {"code": 1002, "message": "…"}, "refused", "account"),
    ("kling", 429, {"code": 1101, "message": "…"}, "refused", "account"),
    ("kling", 429, {"code": 1102, "message": "…"}, "refused", "quota"),
    ("kling", 429, {"code": 1303, "message": "…"}, "refused", "rate"),
    ("kling", 400, {"code": 1301, "message": "…"}, "refused", "text_moderated"),
    ("kling", 400, {"code": 1201, "message": "the external_task_id already exists"}, "unknown_outcome", None),
    ("kling", 400, {"code": 1201, "message": "duration must be one of"}, "refused", "request_invalid"),
    ("kling", 503, {"code": 5001, "message": "…"}, "unknown_outcome", None),
    ("kling", 504, {"code": 5002, "message": "…"}, "unknown_outcome", None),
    # With HTTP 200.
    ("hailuo", 200, {"task_id": "", "base_resp": {"status_code": 1002, "status_msg": "…"}}, "refused", "rate"),
    ("hailuo", 200, {"task_id": "", "base_resp": {"status_code": 1004, "status_msg": "…"}}, "refused", "account"),
    ("hailuo", 200, {"task_id": "", "base_resp": {"status_code": 1008, "status_msg": "…"}}, "refused", "quota"),
    ("hailuo", 200, {"base_resp": {"status_code": 1027, "status_msg": "…"}}, "refused", "video_moderated"),
    ("hailuo", 200, {"base_resp": {"status_code": 2013, "status_msg": "…"}}, "refused", "request_invalid"),
    ("kie", 200, {"code": 402, "msg": "Insufficient Credits"}, "refused", "quota"),
    ("kie", 200, {"code": 422, "msg": "prohibited content"}, "refused", "text_moderated"),
    ("kie", 200, {"code": 455, "msg": "Service Unavailable"}, "refused", "rate"),
    ("kie", 200, {"code": 500, "msg": "Server Error"}, "unknown_outcome", None),
    ("pixverse", 200, {"ErrCode": 400017, "ErrMsg": "Invalid parameter", "Resp": None}, "refused", None),
    ("maxapi", 200, {"code": 1, "msg": "no", "data": None}, "refused", None),
]


@pytest.mark.parametrize(("provider", "status", "body", "state", "family"), REFUSALS)
def test_a_refusal_is_of_the_family_that_the_providers_page_says(
    provider: str, status: int, body: dict[str, Any], state: str, family: str | None
) -> None:
    """What is to be done hangs on it: wait, tell the person, say it otherwise; or find out whether there is a job."""
    understanding = read(body, provider, "create", status=status)
    assert understanding["state"] == state
    if family is not None:
        assert understanding["error"] is not None
        assert understanding["error"]["family"] == family


FAILURES: list[tuple[str, dict[str, Any], str]] = [
    (
        "ark",
        {"id": "1", "status": "failed", "error": {"code": "OutputVideoSensitiveContentDetected"}},
        "video_moderated",
    ),
    (
        "ark",
        {"id": "1", "status": "failed", "error": {"code": "OutputAudioSensitiveContentDetected"}},
        "audio_moderated",
    ),
    ("ark", {"id": "1", "status": "expired"}, "expired"),
    ("fal", {"request_id": "1", "status": "COMPLETED", "error": "…", "error_type": "runner_disconnected"}, "server"),
    ("replicate", {"id": "1", "status": "canceled"}, "cancelled"),
    ("hailuo", {"task_id": "1", "status": "Fail", "base_resp": {"status_code": 1027}}, "video_moderated"),
    ("kie", {"code": 501, "data": {"taskId": "1", "state": "fail", "failCode": "501", "failMsg": "…"}}, "server"),
    ("pixverse", {"ErrCode": 0, "ErrMsg": "Success", "Resp": {"id": 1, "status": 7}}, "video_moderated"),
    ("runway", {"id": "1", "status": "FAILED", "failureCode": "SAFETY.INPUT.TEXT", "failure": "…"}, "text_moderated"),
    ("runway", {"id": "1", "status": "FAILED", "failureCode": "SAFETY.INPUT.IMAGE"}, "image_moderated"),
    ("xai", {"status": "done", "video": {"url": "https://x.ai/a", "respect_moderation": False}}, "video_moderated"),
    ("openrouter", {"id": "1", "status": "expired", "error": "…"}, "expired"),
]


@pytest.mark.parametrize(("provider", "body", "family"), FAILURES)
def test_the_end_of_a_job_is_of_the_family_that_the_providers_page_says(
    provider: str, body: dict[str, Any], family: str
) -> None:
    """Of what the 80 bodies do not show."""
    understanding = read(body, provider, "get")
    assert understanding["state"] in FINAL[1:]
    assert understanding["error"] is not None
    assert understanding["error"]["family"] == family


def test_an_unknown_id_is_absent_where_the_answer_says_so() -> None:
    """Kling leaves it out of the list; its old API, and most others, refuse."""
    assert read({"code": 0, "data": []}, "kling", "get")["state"] == "absent"
    answer = {"code": 1201, "message": "task not found", "data": None}
    assert read(answer, "kling-legacy", "get", status=400)["state"] == "absent"
    assert (
        read({"code": 1201, "message": "id is not a number"}, "kling-legacy", "get", status=400)["state"] == "unknown"
    )
    assert read({"detail": "Not found."}, "replicate", "get", status=404)["state"] == "absent"


def test_the_question_before_a_job_is_no_word_about_one() -> None:
    """The body of the challenge alone is answered with what it asks for."""
    challenges = [body for body in ANSWERS if "challenge" in body["body"]]
    assert len(challenges) == 1
    for name in ("hailuo", "minimax"):
        assert challenge_in(load_shipped(name), challenges[0]["body"]) == "<string>"
    assert challenge_in(load_shipped("ark"), challenges[0]["body"]) is None


def test_no_profile_reads_the_end_of_a_job_into_the_body_of_another_provider() -> None:
    """A wrong profile must find out nothing, and not that a job is done, or has failed, which is neither."""
    wrong = []
    for body in ANSWERS:
        truth = body["kind"].partition("_")[2]
        for name in profile_names():
            for kind in ("get", "callback"):
                state = read(body["body"], name, kind)["state"]
                if (state == "succeeded" and truth != "success") or (state in FINAL[1:] and truth != "failed"):
                    wrong.append((name_of(body), name, kind, state))
    assert wrong == []


def test_an_envelope_that_says_all_is_well_is_no_reason_of_a_failure() -> None:
    """PixVerse's job was refused by moderation, and its envelope says 0, Success."""
    body = b'{"ErrCode": 0, "ErrMsg": "Success", "Resp": {"id": 1, "status": 7, "url": ""}}'
    understanding = understand(load_shipped("pixverse"), "get", body)
    assert understanding["state"] == "failed"
    assert understanding["error"] == {"code": None, "message": None, "family": "video_moderated"}


def test_resellers_of_the_same_models_use_names_of_their_own() -> None:
    """BytePlus does not know the models of Ark by their names in China, nor Qiniu those of fal."""
    for name, base in (("byteplus", "ark"), ("qiniu-fal", "fal")):
        assert not set(load_shipped(name).models) & set(load_shipped(base).models)


# --- the core speaks profiles only -------------------------------------------------------------------------------


NAMED_HOOKS = {
    "upstream/verifiers.py": SCHEMES,  # Signatures are named after who invented them.
    "upstream/signatures.py": ("vidu",),  # A line of what is signed.
    "cli/programs.py": ("ark",),  # The languages that the sandbox speaks.
    "cli/sandbox.py": ("ark",),
}


def test_no_provider_is_named_in_the_code() -> None:
    """What one does differently is in its profile; what data cannot say is a hook with a name."""
    names = set(profile_names())
    names.remove("jobs")  # Also a plain word, and what FrameRelay speaks where nobody says otherwise.
    hits = []
    for path in sorted(ROOT.rglob("*.py")):
        folder = path.relative_to(ROOT).parts[0]
        if folder.startswith(".") or folder in ("tests", "benchmarks", "sandbox", "build"):  # What plays providers.
            continue
        names_there = NAMED_HOOKS.get(str(path.relative_to(ROOT)), ())
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and node.value in names and node.value not in names_there:
                hits.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.value}")
    assert hits == []
