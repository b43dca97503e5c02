"""The Helm chart: rendered by Helm, checked against Kubernetes's own schemas, and its commands started as it says."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from ruamel.yaml import YAML

from framerelay.cli.main import cli
from framerelay.config.misspellings import misspellings
from framerelay.config.settings import Settings, setting_specs
from tests.deploy.tools import tool
from tests.deploy.waiting import free_port, is_answered, started

CHART = Path(__file__).parent.parent.parent / "deploy" / "helm" / "framerelay"
LEAST = {
    "publicUrl": "https://relay.example.com",
    "redis.url": "redis://redis:6379/0",
    "existingSecret": "framerelay",
    "settings.FRAMERELAY_UPSTREAM_URL": "https://api.provider.example",
}
FULL = LEAST | {
    "workers.light.autoscaling.enabled": "true",
    "workers.heavy.autoscaling.enabled": "true",
    "keda.prometheusUrl": "http://prometheus:9090",
    "podMonitor.enabled": "true",
    "receiver.ingress.enabled": "true",
    "receiver.ingress.host": "relay.example.com",
    "receiver.ingress.tlsSecret": "relay-tls",
    "framerelayYaml": "providers: {kling: {}}",
    "data.shared": "false",
    "settings.FRAMERELAY_STORE": "s3://clips",
    "providerKeys.KLING_API_KEY": "kling_key",
    "environment.AWS_REGION": "eu-central-1",
    "serviceAccountName": "films",
    "image.digest": f"sha256:{'0' * 64}",
    "networkPolicy.receiverFrom[0].namespaceSelector.matchLabels.name": "ingress",
    "networkPolicy.metricsFrom[0].namespaceSelector.matchLabels.name": "monitoring",
}


def helm(*arguments: str, values: dict[str, str]) -> subprocess.CompletedProcess[str]:
    options = [
        word
        for name, value in values.items()
        for word in (
            "--set-string" if "FRAMERELAY" in name else "--set",
            f"{name}={value}".replace("{", r"\{").replace("}", r"\}").replace(",", r"\,"),
        )
    ]
    return subprocess.run([tool("helm"), *arguments, str(CHART), *options], capture_output=True, text=True)


def rendered(values: dict[str, str]) -> list[Any]:
    process = helm("template", "fr", values=values)
    assert process.returncode == 0, process.stderr
    return [each for each in YAML(typ="safe").load_all(process.stdout) if each]


@pytest.fixture(scope="module")
def least() -> list[Any]:
    return rendered(LEAST)


def of_kind(documents: list[Any], kind: str) -> dict[str, Any]:
    return {each["metadata"]["name"]: each for each in documents if each["kind"] == kind}


def pods(documents: list[Any]) -> dict[str, Any]:
    """The pod of each workload, by name."""
    workloads = of_kind(documents, "StatefulSet") | of_kind(documents, "Deployment")
    return {name: each["spec"]["template"]["spec"] for name, each in workloads.items()}


def test_it_is_what_kubernetes_takes(tmp_path: Path) -> None:
    """Helm finds nothing to complain of, and each manifest, with least and with most, fits its schema to the letter."""
    number, paths = 0, []
    for values in (LEAST, FULL):
        lint = helm("lint", "--strict", values=values)
        assert lint.returncode == 0, lint.stdout + lint.stderr
        paths.append(tmp_path / f"{len(paths)}.yaml")
        paths[-1].write_text(helm("template", "fr", values=values).stdout)
        number += len([each for each in rendered(values) if each["kind"] not in ("ScaledObject", "PodMonitor")])
    command = [tool("kubernetes-validate"), "--strict", *map(str, paths)]
    check = subprocess.run(command, capture_output=True, text=True)
    assert check.returncode == 0, check.stdout + check.stderr
    assert (check.stdout + check.stderr).count("passed for resource") == number


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"publicUrl": ""}, "publicUrl: how providers reach the receivers"),
        ({"existingSecret": ""}, "existingSecret: a secret with api_key"),
        ({"data.shared": "false"}, "needs settings.FRAMERELAY_STORE"),
        ({"workers.heavy.autoscaling.enabled": "true"}, "keda.prometheusUrl"),
        ({"receiver.replica": "3"}, "replica"),
        ({"workers.light.tasks": "some"}, "tasks"),
        ({"image.digest": "latest"}, "digest"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_installed(change: dict[str, str], words: str) -> None:
    """A misspelled value, or pods that would share nothing, costs money when it is found out later."""
    process = helm("template", "fr", values=LEAST | change)

    assert process.returncode != 0
    assert words in process.stderr


def test_a_receiver_finds_its_spool_again(least: list[Any]) -> None:
    """What is there got its 200: it outlives the pod, its node, and the release."""
    (receiver,) = of_kind(least, "StatefulSet").values()
    (claim,) = receiver["spec"]["volumeClaimTemplates"]
    (container,) = receiver["spec"]["template"]["spec"]["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}

    assert mounts[claim["metadata"]["name"]] == f"{mounts['data']}/spool"
    assert receiver["spec"]["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    (data,) = of_kind(least, "PersistentVolumeClaim").values()
    assert data["spec"]["accessModes"] == ["ReadWriteMany"]
    assert data["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_copies_fit_the_scratch_folder_of_a_pod() -> None:
    """Kubernetes evicts a pod whose folder outgrows it, in the middle of what it does."""
    (volume,) = [each for each in pods(rendered(FULL))["fr-heavy"]["volumes"] if each["name"] == "data"]
    gib = int(volume["emptyDir"]["sizeLimit"].removesuffix("Gi"))

    assert gib << 30 >= 1.5 * Settings().scratch_bytes_max


def test_each_workload_has_its_budget_probes_and_time_to_end(least: list[Any]) -> None:
    """Both classes are there; a film may end; a loop that hangs is seen by the time-out of its probe."""
    pods_there = pods(least)
    assert set(pods_there) == {"fr-receiver", "fr-light", "fr-heavy"} == set(of_kind(least, "PodDisruptionBudget"))
    for name, pod in pods_there.items():
        (container,) = pod["containers"]
        probes = {kind: container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("liveness", "readiness", "startup")}
        assert probes == {"liveness": "/livez", "readiness": "/readyz", "startup": "/livez"}, name
        assert container["livenessProbe"]["timeoutSeconds"] == 5
        command, *arguments = container["args"]
        assert isinstance(cli, click.Group)
        cli.commands[command].make_context(command, arguments)
    assert pods_there["fr-heavy"]["terminationGracePeriodSeconds"] >= Settings().films_grace_s + 10
    assert pods_there["fr-light"]["terminationGracePeriodSeconds"] >= 20


def test_no_pod_is_root_and_no_secret_is_written_down(least: list[Any]) -> None:
    """Keys come from the secret that is named, as files or variables; nothing can be written but the volumes."""
    secret = {spec.variable for _, spec, _ in setting_specs() if spec.secret}
    for pod in pods(rendered(FULL)).values():
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsUser"] == 10001
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["image"] == f"framerelay@sha256:{'0' * 64}"
        variables = {each["name"]: each for each in container["env"]}
        assert not any("value" in variables[name] for name in (secret | {"KLING_API_KEY"}) & variables.keys())
    for pod in pods(least).values():
        assert misspellings({each["name"]: "" for each in pod["containers"][0]["env"]}) == []


def test_only_prometheus_reaches_a_worker() -> None:
    """Receivers are called by the ingress that is named, workers by Prometheus alone."""
    policies = of_kind(rendered(FULL), "NetworkPolicy")
    by = {
        name: policy["spec"]["ingress"][0]["from"][0]["namespaceSelector"]["matchLabels"]["name"]
        for name, policy in policies.items()
    }
    assert by == {"fr-receiver": "ingress", "fr-worker": "monitoring"}
    labels = policies["fr-worker"]["spec"]["podSelector"]["matchLabels"]
    workers = of_kind(rendered(FULL), "Deployment").values()
    assert all(labels.items() <= each["spec"]["template"]["metadata"]["labels"].items() for each in workers)


def test_each_class_is_scaled_by_its_own_lateness() -> None:
    """Films that wait must not start workers that cannot take them."""
    objects = of_kind(rendered(FULL), "ScaledObject")
    queries = {name: each["spec"]["triggers"][0]["metadata"]["query"] for name, each in objects.items()}
    assert queries == {
        f"fr-{kind}": f'max(framerelay_tasks_late_seconds{{tasks="{kind}"}})' for kind in ("light", "heavy")
    }
    assert not any("replicas" in each["spec"] for each in of_kind(rendered(FULL), "Deployment").values())


@pytest.mark.parametrize("name", ["fr-receiver", "fr-heavy"])
def test_a_pod_starts_as_the_chart_says(least: list[Any], name: str, tmp_path: Path, redis_url: str) -> None:
    """Its command and environment on this machine's Redis, asked by its own probes."""
    (container,) = pods(least)[name]["containers"]
    port, keys = free_port(), tmp_path / "keys"
    keys.mkdir()
    (keys / "api_key").write_text("an-api-key-of-thirty-characters-3")
    (keys / "secret").write_text("a-secret-of-thirty-characters-92x")
    here = {"redis://redis:6379/0": redis_url, "/run/secrets/framerelay": str(keys), "8081": str(port)}
    environ = {"PATH": os.environ["PATH"], "FRAMERELAY_DATA_DIR": str(tmp_path / "data")}
    environ |= {"FRAMERELAY_HOST": "127.0.0.1", "FRAMERELAY_PORT": str(port), "FRAMERELAY_UPSTREAM_KEY": "sk-test"}
    for each in container["env"]:
        if "value" in each:
            environ[each["name"]] = re.sub("|".join(map(re.escape, here)), lambda match: here[match[0]], each["value"])
    command = [str(Path(sys.executable).parent / "framerelay"), *container["args"]]
    with started(command, environ, tmp_path) as log:
        for probe in ("livenessProbe", "readinessProbe"):
            is_answered(f"http://127.0.0.1:{port}{container[probe]['httpGet']['path']}", log)
