"""`init`: a storyboard to start from."""

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Final

from framerelay.cli.errors import CommandError, folder_words
from framerelay.cli.output import echo
from framerelay.cli.runs import print_json
from framerelay.cli.settings import settings_of_command
from framerelay.cli.settings_file import providers_of
from framerelay.languages.catalogs import translate
from framerelay.languages.reader import CHINESE, ENGLISH, language
from framerelay.upstream.profile_models import Model

TEMPLATES: Final = {ENGLISH: "init.yaml", CHINESE: "init.zh.yaml"}
MODEL: Final = "seedance-1.5-pro-720p"  # From the jobs API, whose page has no list of models.


def write_storyboard(file: Path, *, as_json: bool) -> int:
    """
    Write a storyboard of three chained shots, for a model of the default provider; never over an existing file.

    Returns the exit code. Raises: CommandError.
    """
    model, first = _models(providers_of(settings_of_command()).of(None).profile.models)
    template = (resources.files("framerelay.cli") / TEMPLATES[language()]).read_text(encoding="utf-8")
    why = translate("The one above needs a picture to begin with.")
    opening = f"\n    model: {first}  # {why}" if first != model else ""
    text = template.format(file=file.name, model=model, opening=opening)
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise CommandError(f"{file} is there already: give another name, as in `framerelay init second.yaml`") from None
    except OSError as error:
        raise CommandError(f"cannot write {file}: {folder_words(error)}") from None
    if as_json:
        print_json({"object": "storyboard", "file": str(file)})
    else:
        echo(f"wrote {file}; what it would do and cost: framerelay plan {file}")
    return 0


def _models(models: Mapping[str, Model]) -> tuple[str, str]:
    """The model of shots that begin with a frame, and that of the first shot, which has none; one model if possible."""
    by_name = {name: model for name, model in models.items() if "*" not in name}
    takers = [name for name, model in by_name.items() if "first" in (model.frames or ())]
    first = [name for name, model in by_name.items() if not model.needs]
    both = [name for name in takers if name in first]
    if both or not takers:
        name = next(iter(both or by_name), MODEL)
        return name, name
    return takers[0], next(iter(first), takers[0])
