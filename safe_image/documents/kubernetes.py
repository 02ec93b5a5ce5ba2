"""Images of Kubernetes' manifests: of every pod template, wherever a kind has it, also in custom resources.

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/ and, for the platform,
https://kubernetes.io/docs/reference/labels-annotations-taints/#kubernetes-io-arch
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..errors import UsageError
from .document_image import DocumentImage
from .files import read_documents

_CONTAINERS: Final = ("initContainers", "containers", "ephemeralContainers")
_ARCHITECTURE: Final = ("kubernetes.io/arch", "beta.kubernetes.io/arch")
_SYSTEM: Final = ("kubernetes.io/os", "beta.kubernetes.io/os")
_TERMS: Final = ("affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms")
RUNTIME: Final = "eks"


@dataclass(frozen=True)
class PodImage:
    """An image of a pod template.

    :param path: its place in the manifest.
    :param image: the reference.
    :param platform: the platform of the nodes; None where the template says none.
    """

    path: tuple[str | int, ...]
    image: Any
    platform: str | None


def read_kubernetes(file: str) -> Iterator[DocumentImage]:
    """The images of a file with manifests, such as Helm's rendered output.

    :param file: the file's path; `-` for standard input.
    :raises UsageError: if it cannot be read, is not a manifest, or exceeds a limit.
    """
    for document in read_documents(file):
        if document.value is None:
            # Helm renders a template whose condition does not hold to nothing.
            continue
        if not isinstance(document.value, Mapping) or not document.value.get("kind"):
            raise UsageError(f"{document.file}: it is not a Kubernetes manifest: it has no kind")
        for pod in pod_images(document.value):
            place = document.place(pod.path)
            if isinstance(pod.image, str):
                yield DocumentImage(pod.image, place, (RUNTIME,), pod.platform)


def pod_images(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[PodImage]:
    """The images of all pod templates in a manifest; two for a template whose nodes may have two architectures.

    :param value: the manifest, or a part of it.
    :param path: its place.
    """
    if isinstance(value, list):
        for number, element in enumerate(value):
            yield from pod_images(element, (*path, number))
    elif isinstance(value, Mapping):
        for name, below in value.items():
            if name in _CONTAINERS and isinstance(below, list):
                yield from _of_containers(value, below, (*path, name))
            else:
                yield from pod_images(below, (*path, name))


def _of_containers(pod: Mapping[str, Any], containers: list[Any], path: tuple[str | int, ...]) -> Iterator[PodImage]:
    for number, container in enumerate(containers):
        if isinstance(container, Mapping) and container.get("image"):
            for platform in _platforms(pod):
                yield PodImage((*path, number, "image"), container["image"], platform)


def _platforms(pod: Mapping[str, Any]) -> list[str | None]:
    """The platforms of the nodes that a pod's selector and its required affinity accept."""
    systems = _accepted(pod, _SYSTEM) or ["linux"]
    return [f"{system}/{name}" for system in systems for name in _accepted(pod, _ARCHITECTURE)] or [None]


def _accepted(pod: Mapping[str, Any], labels: tuple[str, ...]) -> list[str]:
    """The values of a label that a pod accepts; empty where it says nothing."""
    selector = pod.get("nodeSelector")
    if isinstance(selector, Mapping):
        selected = [str(selector[label]) for label in labels if label in selector]
        if selected:
            return selected
    found: Any = pod
    for name in _TERMS:
        found = found.get(name) if isinstance(found, Mapping) else None
    terms = found if isinstance(found, list) else []
    accepted = [_of_term(term, labels) for term in terms]
    # One of the terms must match: where one of them says nothing, neither does the affinity.
    return list(dict.fromkeys(value for values in accepted for value in values)) if all(accepted) else []


def _of_term(term: Any, labels: tuple[str, ...]) -> list[str]:
    expressions = term.get("matchExpressions") if isinstance(term, Mapping) else None
    for it in expressions if isinstance(expressions, list) else ():
        if isinstance(it, Mapping) and it.get("key") in labels and it.get("operator") == "In":
            values = it.get("values")
            return [str(value) for value in values] if isinstance(values, list) else []
    return []
