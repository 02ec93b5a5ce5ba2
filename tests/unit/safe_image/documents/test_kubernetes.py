"""Manifests: the images of every pod template, and the platform of its nodes."""

from __future__ import annotations

from pathlib import Path

import pytest

from safe_image.documents.kubernetes import read_kubernetes
from tests.unit.safe_image.documents.files import facts, write

MANIFESTS = """\
    apiVersion: apps/v1
    kind: Deployment
    spec:
      template:
        spec:
          nodeSelector: {kubernetes.io/arch: arm64}
          initContainers: [{name: init, image: "init:1"}]
          containers:
          - name: web
            image: web:1
    ---
    ---
    kind: CronJob
    spec: {jobTemplate: {spec: {template: {spec: {containers: [{image: "job:1"}]}}}}}
    ---
    kind: List
    items:
    - kind: Pod
      spec: {containers: [{image: "pod:1"}], ephemeralContainers: [{image: "debug:1"}]}
    - apiVersion: argoproj.io/v1alpha1
      kind: Rollout
      spec: {template: {spec: {containers: [{image: "rollout:1"}]}}}
    - kind: CustomResourceDefinition
      spec: {versions: [{schema: {containers: {items: {image: {type: string}}}}}]}
    - kind: ConfigMap
      data: {image: "config:1"}
    """


def test_every_kind_with_a_pod_template_names_its_images(tmp_path: Path) -> None:
    images = list(read_kubernetes(write(tmp_path, "all.yaml", MANIFESTS)))
    path = "spec.template.spec"
    assert [facts(image) for image in images[:2]] == [
        ("init:1", ("eks",), "linux/arm64", 7, f"{path}.initContainers[0].image"),
        ("web:1", ("eks",), "linux/arm64", 10, f"{path}.containers[0].image"),
    ]
    assert [image.reference for image in images[2:]] == ["job:1", "pod:1", "debug:1", "rollout:1"]
    assert {image.platform for image in images[2:]} == {None}


AFFINITY = "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [%s]}}}"
ARCH = "{matchExpressions: [{key: kubernetes.io/arch, operator: In, values: [%s]}]}"
PLATFORMS: list[tuple[str, list[str | None]]] = [
    ("nodeSelector: {kubernetes.io/arch: amd64, kubernetes.io/os: windows}", ["windows/amd64"]),
    ("nodeSelector: {beta.kubernetes.io/arch: arm64}", ["linux/arm64"]),
    ("nodeSelector: {team: a}", [None]),
    (AFFINITY % (ARCH % "arm64"), ["linux/arm64"]),
    (AFFINITY % (ARCH % "amd64, arm64"), ["linux/amd64", "linux/arm64"]),
    (AFFINITY % f"{ARCH % 'amd64'}, {ARCH % 'arm64'}", ["linux/amd64", "linux/arm64"]),
    (AFFINITY % f"{ARCH % 'arm64'}, {{matchExpressions: []}}", [None]),
    ("affinity: [1]", [None]),
]


@pytest.mark.parametrize(("pod", "platforms"), PLATFORMS)
def test_the_platform_is_that_of_the_nodes_that_a_pod_accepts(
    tmp_path: Path, pod: str, platforms: list[str | None]
) -> None:
    file = write(tmp_path, "pod.yaml", f"kind: Pod\nspec:\n  {pod}\n  containers: [{{image: a}}]\n")
    assert [image.platform for image in read_kubernetes(file)] == platforms
