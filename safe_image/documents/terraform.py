"""Images of Terraform's plans and states, as `terraform show -json` prints them.

https://developer.hashicorp.com/terraform/internals/json-format
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import zip_longest
from typing import Any, Final

from image_verifier.rules.consumer_types import Path, Use

from ..errors import UsageError
from ..sources.place import Place, dotted
from .document_image import DocumentImage, image_at
from .files import read_document
from .kubernetes import RUNTIME, pod_images
from .settings import Settings
from .terraform_types import TERRAFORM_TYPES, TerraformType, attribute_path
from .unknown import Unknown
from .values import Values

# The values of a plan and those of a state.
_ROOTS: Final = ("planned_values", "values")
_KUBERNETES: Final = "kubernetes_"
# The provider's names of a pod's fields that are Kubernetes' own in another form.
_POD_FIELDS: Final = {
    "container": "containers",
    "init_container": "initContainers",
    "node_selector": "nodeSelector",
}


def read_terraform(file: str, settings: Settings) -> Iterator[DocumentImage]:
    """The images of a plan or a state.

    :param file: the path of the file that `terraform show -json` wrote; `-` for standard input.
    :param settings: the values of `--set`.
    :raises UsageError: if it cannot be read, or is neither a plan nor a state.
    """
    document = read_document(file)
    root = next((root for root in _ROOTS if isinstance(document.value.get(root), Mapping)), None)
    if root is None or "format_version" not in document.value:
        raise UsageError(f"{file}: it is not a plan or a state: use the output of terraform show -json")
    unknown = _unknown_values(document.value)
    module: Any = document.value[root].get("root_module")
    for path, resource in _resources(module, (root, "root_module")):
        yield from _of_resource(document, path, resource, unknown, settings)


def _unknown_values(plan: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes that only the apply knows, by the resource's address."""
    changes = plan.get("resource_changes")
    return {
        change["address"]: change["change"]["after_unknown"]
        for change in (changes if isinstance(changes, list) else ())
        if isinstance(change, Mapping) and "address" in change and "after_unknown" in (change.get("change") or ())
    }


def _resources(module: Any, path: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """The resources of a module and of those below it."""
    if not isinstance(module, Mapping):
        return
    for number, resource in enumerate(module.get("resources") or ()):
        if isinstance(resource, Mapping) and resource.get("mode") != "data":
            yield (*path, "resources", number), resource
    for number, child in enumerate(module.get("child_modules") or ()):
        yield from _resources(child, (*path, "child_modules", number))


def _of_resource(
    document: Values, path: Path, resource: Mapping[str, Any], unknown: Mapping[str, Any], settings: Settings
) -> Iterator[DocumentImage]:
    type_, address = str(resource.get("type")), str(resource.get("address"))
    values = resource.get("values")
    if not isinstance(values, Mapping):
        return
    row = TERRAFORM_TYPES.get(type_)
    line = document.line_of((*path, "values")) if row or type_.startswith(_KUBERNETES) else 0
    if row:
        complete = _overlaid(values, unknown.get(address), address, settings)
        yield from _of_row(row, complete, Place(document.file, line, address), settings)
    elif type_.startswith(_KUBERNETES):
        for pod in pod_images(_as_manifest(values)):
            place = Place(document.file, line, f"{address}.{dotted(pod.path)}")
            yield image_at(place, pod.image, Use((RUNTIME,), pod.platform))


def _of_row(row: TerraformType, values: dict[str, Any], place: Place, settings: Settings) -> Iterator[DocumentImage]:
    for name in row.json:
        value = values.get(name)
        if isinstance(value, Unknown):
            # Without its containers, nothing but the runtime and the platform is known.
            use = row.consumer.use(row.properties({key: its for key, its in values.items() if key != name}))
            image = settings.get(f"{place.path}.image")
            hint = Unknown(f"${{{place.path}.image}}", value.missing, f"Pass --set '{place.path}.image=IMAGE'")
            yield image_at(replace(place, path=f"{place.path}.{name}"), hint if image is None else image, use)
        elif isinstance(value, str):
            try:
                values[name] = json.loads(value)
            except ValueError as e:
                raise UsageError(f"{place.file}: {name} of {place.path} is not valid JSON") from e
    for found in row.consumer.named_images(row.properties(values)):
        if not (isinstance(found.value, str) and any(map(found.value.startswith, found.property.provided))):
            here = replace(place, path=f"{place.path}.{attribute_path(found.path)}")
            if found.value is not None:
                yield image_at(here, found.value, found.use)


def _overlaid(value: Any, unknown: Any, name: str, settings: Settings) -> Any:
    """A value with `Unknown` in the places that only the apply knows."""
    if unknown is True:
        known = settings.get(name)
        if known is not None:
            return known
        return Unknown(f"${{{name}}}", f"the value of {name}", f"Pass --set '{name}=VALUE'")
    if isinstance(unknown, Mapping):
        below = dict(value) if isinstance(value, Mapping) else {}
        for key, its in unknown.items():
            below[key] = _overlaid(below.get(key), its, f"{name}.{key}", settings)
        return below
    if isinstance(unknown, list):
        pairs = zip_longest(value if isinstance(value, list) else [], unknown)
        return [_overlaid(one, its, f"{name}[{number}]", settings) for number, (one, its) in enumerate(pairs)]
    return dict(value) if isinstance(value, Mapping) else value


def _as_manifest(value: Any) -> Any:
    """The attributes of the provider for Kubernetes with the names of a manifest."""
    if isinstance(value, list):
        return [_as_manifest(element) for element in value]
    if isinstance(value, Mapping):
        return {_POD_FIELDS.get(name, name): _as_manifest(its) for name, its in value.items()}
    return value
