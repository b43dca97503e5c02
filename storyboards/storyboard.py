"""
What a person asks for: a storyboard, read from YAML or JSON, with every mistake reported at once, and made into a run.

`documents` reads text, `parts` asks what is where, `scenes` knows scenes and shots, `inputs` the fields of the jobs
API. The keys are described in ``docs/storyboard.md``.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from framerelay.config.text import text_of
from framerelay.network.policy import HOW_TO_TRUST, TrustedHosts, check_in_advance
from framerelay.runs.errors import AddressForbidden, Mistake, StoryboardInvalid
from framerelay.runs.machine import begin
from framerelay.runs.model import Run, RunId, Shot, Terms, Wording
from framerelay.storyboards.boundaries import Defaults
from framerelay.storyboards.choices import CHOICE_KEYS, read_choice
from framerelay.storyboards.documents import Path, Spot, place_of, read_document
from framerelay.storyboards.edits import Edit, edited_text
from framerelay.storyboards.inputs import CALLBACK_IS_OURS, LOCAL, PLAIN_FIELDS, REFERENCE_FILES, read_inputs
from framerelay.storyboards.labels import read_labels
from framerelay.storyboards.notation import Form
from framerelay.storyboards.parts import Notes, Part, root_of
from framerelay.storyboards.passes import read_pass
from framerelay.storyboards.reactions import read_on_failed
from framerelay.storyboards.scenes import read_shots

VERSION: Final = 1
AMOUNT_MAX: Final = 1_000_000_000
UNTITLED: Final = "untitled"

_TOP_KEYS: Final = (
    *("version", "title", *CHOICE_KEYS, "budget", "currency", "labels", "pass", "service_tier", "on_failed"),
    *("defaults", "style", "scenes", "shots", "notify_url"),
)
_IN_DEFAULTS: Final = tuple(name for name in PLAIN_FIELDS if name != "service_tier")
_NOT_AT_THE_TOP: Final = {
    **dict.fromkeys((*_IN_DEFAULTS, *REFERENCE_FILES), "input fields for all shots belong under defaults"),
    **dict.fromkeys(("first_frame", "first_frame_url"), "a first frame belongs to a scene or a shot: put it there"),
    **dict.fromkeys(("last_frame", "last_frame_url"), "a last frame belongs to a shot: put it there"),
    "prompt": "a prompt belongs to a shot: put it there; what all prompts share is style",
    "on_moderated": "another prompt belongs to a shot: put it there",
    "callback_url": CALLBACK_IS_OURS,
}
_NOT_IN_DEFAULTS: Final = {
    "prompt": "a prompt belongs to a shot; what all prompts share is style, at the top",
    "style": "style belongs at the top, beside defaults",
    **dict.fromkeys(CHOICE_KEYS, "this belongs at the top, beside defaults, in a scene, or in a shot"),
    **dict.fromkeys(("first_frame", "first_frame_url"), "a first frame belongs to a scene or a shot: put it there"),
    **dict.fromkeys(("last_frame", "last_frame_url"), "a last frame belongs to a shot: put it there"),
    **dict.fromkeys(("takes", "pick", "gate", "from"), "this is said shot by shot; defaults hold input fields"),
    "callback_url": CALLBACK_IS_OURS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Storyboard:
    """
    A storyboard without mistakes.

    ``shots`` are in the order of the film, none has a take yet. ``document``: what was read, as plain values that can
    be sent as JSON and read again; ``spot`` · ``wording``: the lines of its values, and the text, if it was one.
    ``draft``: input fields of all its shots if it is a draft; None: it is not.
    """

    title: str
    model: str
    provider: str | None
    budget_jobs: int | None
    budget_money: float | None
    currency: str | None
    notify_url: str | None
    shots: tuple[Shot, ...]
    document: dict[str, Any]
    labels: dict[str, str] = field(default_factory=dict)
    draft: dict[str, Any] | None = None
    spot: Spot | None = field(default=None, repr=False, compare=False)
    wording: Wording | None = field(default=None, repr=False, compare=False)

    def local_files(self) -> dict[str, list[str]]:
        """Files that are not stored here yet, as written, each with the places that name it: upload them first."""
        files: dict[str, list[str]] = {}
        for path, value in _frames(self.document):
            if f"{LOCAL}{value}" in self._local:
                files.setdefault(value, []).append(place_of(path))
        return files

    def with_files(self, names: Mapping[str, str]) -> "Storyboard":
        """The same with local files replaced, for example ``./street.png`` by ``file:NAME``, in shots and document."""
        uploads = {f"{LOCAL}{file}": name for file, name in names.items()}
        shots = tuple(
            replace(
                shot,
                first_frame=uploads.get(shot.first_frame or "", shot.first_frame),
                last_frame=uploads.get(shot.last_frame or "", shot.last_frame),
                input=_with_references(shot.input, uploads),
            )
            for shot in self.shots
        )
        document = _with_frames(self.document, names)
        return replace(self, shots=shots, document=document, wording=self._wording_with(names, document))

    def _wording_with(self, names: Mapping[str, str], document: dict[str, Any]) -> Wording | None:
        """The text with these files in place of those, if it then says *document*; None if it cannot."""
        if not names or self.wording is None or self.wording.form != "yaml":
            return self.wording if not names else None
        edits = [Edit(path=path, value=names[file]) for path, file in _frames(self.document) if file in names]
        text = edited_text(self.wording.text, edits)
        if text is None or read_document(text, form="yaml").value != document:
            return None
        return replace(self.wording, text=text)

    @property
    def _local(self) -> set[str]:
        frames = [file for shot in self.shots for file in (shot.first_frame, shot.last_frame, *_references(shot.input))]
        return {frame for frame in frames if frame and frame.startswith(LOCAL)}


def read_storyboard(
    text: str | bytes,
    *,
    form: Form,
    allow_paths: bool = True,
    before: str | None = None,
    trusted_hosts: TrustedHosts | None = None,
) -> Storyboard:
    """
    The storyboard in *text*; mistakes come with their lines.

    *allow_paths*: whether a frame may be a file of the writer's own computer. *before*: the id of a shot before the
    first one, which hands its last frame to it. *trusted_hosts*: they may be notified although they are not public; a
    ``notify_url`` to which nothing would be sent is then a mistake.
    Raises: StoryboardInvalid with every mistake, in the order of the text.
    """
    root = root_of(read_document(text, form=form))
    if root.value is None:
        raise StoryboardInvalid([Mistake(place="storyboard", message="there is nothing in it", line=1)])
    wording = Wording(text=text if isinstance(text, str) else text_of(text), form=form)
    return replace(_sound(root, allow_paths, before, trusted_hosts), wording=wording)


def check_storyboard(document: object, *, allow_paths: bool = True, before: str | None = None) -> Storyboard:
    """Like `read_storyboard`, for values that were decoded elsewhere; mistakes have no lines."""
    return _sound(Part(value=document, notes=Notes()), allow_paths, before, None)


def _sound(part: Part, allow_paths: bool, before: str | None, trusted_hosts: TrustedHosts | None) -> Storyboard:
    storyboard = storyboard_of(part, allow_paths=allow_paths, before=before, trusted_hosts=trusted_hosts)
    part.notes.raise_if_any()
    return storyboard


def storyboard_of(
    part: Part, *, allow_paths: bool, before: str | None = None, trusted_hosts: TrustedHosts | None = None
) -> Storyboard:
    """Like `read_storyboard`, for a part of a larger document: useless unless ``part.notes.raise_if_any()`` passes."""
    top = part.group(_TOP_KEYS, elsewhere=_NOT_AT_THE_TOP) or {}
    if isinstance(part.value, dict):
        _check_top(part, top)
    style = top["style"].text() if "style" in top else None
    choice = read_choice(top)
    defaults = Defaults(
        defaults=_read_defaults(top, allow_paths=allow_paths),
        style=style,
        allow_paths=allow_paths,
        before=before,
        choice=choice,
        reaction=read_on_failed(top),
        needs_models=choice.model is None and _names_models(part.value),
    )
    shots = read_shots(top, defaults)
    title = top["title"].text() if "title" in top else None
    budget_jobs, budget_money = _read_budget(top)
    notify_url = read_notify_url(top["notify_url"], trusted_hosts) if "notify_url" in top else None
    return Storyboard(
        title=title or UNTITLED,
        model=choice.model or next((shot.model for shot in shots if shot.model), ""),
        provider=choice.provider,
        budget_jobs=budget_jobs,
        budget_money=budget_money,
        currency=_read_currency(top["currency"]) if "currency" in top else None,
        notify_url=notify_url,
        shots=shots,
        labels=read_labels(top["labels"]) if "labels" in top else {},
        draft=read_pass(top["pass"], before=before) if "pass" in top else None,
        document=part.value if isinstance(part.value, dict) else {},
        spot=part.notes.spot,
    )


def read_notify_url(part: Part, trusted_hosts: TrustedHosts | None) -> str | None:
    """Where notifications go; a mistake if none could be sent there (not checked without *trusted_hosts*)."""
    address = part.web_address()
    if address is not None and trusted_hosts is not None:
        try:
            check_in_advance(address, trusted_hosts)
        except AddressForbidden as error:
            part.complain(f"nothing would be sent there: {error.message}; {HOW_TO_TRUST}")
    return address


def start_run(storyboard: Storyboard, *, run_id: RunId, now: float, terms: Terms) -> Run:
    """
    A new run of *storyboard*, begun at *now* and not stored yet.

    Raises: StoryboardInvalid if local files were not replaced: only the writer can read them.
    """
    files = [place for places in storyboard.local_files().values() for place in places]
    if files:
        message = "this file was not uploaded before the run was started"
        raise StoryboardInvalid([Mistake(place=place, message=message) for place in files])
    return begin(
        Run(
            id=run_id,
            title=storyboard.title,
            model=storyboard.model,
            provider=storyboard.provider,
            created_at=now,
            updated_at=now,
            shots=storyboard.shots,
            terms=terms,
            budget_jobs=storyboard.budget_jobs,
            budget_money=storyboard.budget_money,
            currency=storyboard.currency,
            notify_url=storyboard.notify_url,
            labels=storyboard.labels,
            is_draft=storyboard.draft is not None,
        )
    )


def _check_top(part: Part, top: Mapping[str, Part]) -> None:
    """What is required, and keys of which only one is allowed."""
    version = top.get("version")
    if version and (isinstance(version.value, bool) or version.value != VERSION):
        version.complain(f"this FrameRelay reads storyboards of version {VERSION}: write version: {VERSION}")
    if "model" not in top and not _names_models(part.value):
        part.miss("model", message="name the model that makes the clips, for example model: seedance-1.5-pro-1080p")
    if "scenes" in top and "shots" in top:
        top["shots"].complain("shots belong in scenes, or alone at the top as one scene: keep one of scenes and shots")
    elif "scenes" not in top and "shots" not in top:
        message = "there are no shots: write shots: and a list below it, or scenes: with shots in each"
        part.miss("shots", "scenes", message=message)
    elif "scenes" in top and top["scenes"].value == []:
        top["scenes"].complain("there are no scenes here: write at least one, with its shots")


def _names_models(document: object) -> bool:
    """Whether some scene or shot names its own model: then those without one are reported, one by one."""
    if not isinstance(document, dict):
        return False
    groups = [*_groups(document.get("shots")), *_groups(document.get("scenes"))]
    inner = [shot for group in groups for shot in _groups(group.get("shots"))]
    return any("model" in group for group in (*groups, *inner))


def _groups(value: object) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _read_defaults(top: Mapping[str, Part], *, allow_paths: bool) -> dict[str, Any]:
    keys: Mapping[str, Part] = {}
    if "defaults" in top:
        keys = top["defaults"].group((*PLAIN_FIELDS, *REFERENCE_FILES), elsewhere=_NOT_IN_DEFAULTS) or {}
    tier = {name: top[name] for name in ("service_tier",) if name in top}
    if tier and "service_tier" in keys:
        keys["service_tier"].complain("service_tier is set at the top already: keep one of the two")
    return read_inputs({**keys, **tier}, allow_paths=allow_paths)


def _read_budget(top: Mapping[str, Part]) -> tuple[int | None, float | None]:
    """At most this many jobs, at most this much money."""
    if "budget" not in top:
        return None, None
    budget = top["budget"]
    if isinstance(budget.value, int) and not isinstance(budget.value, bool):
        budget.complain(f"write budget: {{jobs: {budget.value}}} for at most this many jobs, or money for an amount")
        return None, None
    keys = budget.group(("jobs", "money"))
    if keys is not None and not keys and budget.value == {}:
        budget.complain("write budget: {jobs: 12} for at most twelve jobs, or leave budget out")
    jobs = keys["jobs"].whole_number(1) if keys and "jobs" in keys else None
    return jobs, _read_amount(keys["money"]) if keys and "money" in keys else None


def _read_amount(part: Part) -> float | None:
    amount = part.number()
    if amount is not None and not 0 < amount <= AMOUNT_MAX:
        part.complain(f"expected an amount above 0, at most {AMOUNT_MAX}, found {amount}")
        return None
    return amount


def _read_currency(part: Part) -> str | None:
    text = part.text()
    if text is not None and not re.fullmatch(r"[A-Z]{3}|credits|units", text):
        part.complain("expected a currency of three capitals like USD or CNY, or the provider's own credits or units")
        return None
    return text


# --- the frames of a document ------------------------------------------------------------------------------------


def _references(fields: Mapping[str, Any]) -> Iterator[str]:
    """The references of a shot, files and addresses."""
    for name in REFERENCE_FILES.values():
        yield from fields.get(name) or ()


def _with_references(fields: Mapping[str, Any], uploads: Mapping[str, str]) -> dict[str, Any]:
    replacements = {
        name: [uploads.get(each, each) for each in fields[name]] for name in REFERENCE_FILES.values() if name in fields
    }
    return {**fields, **replacements}


def _frames(group: Mapping[str, Any], at: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every file or address that a checked document names for a frame or reference, with its path, in story order."""
    yield from (((*at, key), group[key].strip()) for key in _FRAME_KEYS if key in group)
    for key in REFERENCE_FILES:
        yield from (((*at, key, place), text.strip()) for place, text in enumerate(group.get(key, ())))
    if isinstance(group.get("defaults"), dict):
        yield from _frames(group["defaults"], (*at, "defaults"))
    for name in ("scenes", "shots"):
        for index, inner in enumerate(group.get(name, ())):
            yield from _frames(inner, (*at, name, index))


def _with_frames(value: Any, names: Mapping[str, str]) -> Any:
    """A copy of *value* in which frames listed in *names* are replaced."""
    if isinstance(value, list):
        return [_with_frames(entry, names) for entry in value]
    if not isinstance(value, dict):
        return value
    return {key: _rename(key, inner, names) for key, inner in value.items()}


def _rename(key: str, value: Any, names: Mapping[str, str]) -> Any:
    if key in _FRAME_KEYS:
        return names.get(value.strip(), value)
    if key in REFERENCE_FILES:
        return [names.get(each.strip(), each) for each in value]
    return _with_frames(value, names)


_FRAME_KEYS: Final = ("first_frame", "last_frame")
