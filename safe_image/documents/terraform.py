"""Images of Terraform's plans and states, as `terraform show -json` prints them.

https://developer.hashicorp.com/terraform/internals/json-format
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
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
    unknown = _unknown_values(document.value, file)
    module: Any = document.value[root].get("root_module")
    for path, resource in _resources(module, (root, "root_module"), file):
        yield from _of_resource(document, path, resource, unknown, settings)


def _unknown_values(plan: Mapping[str, Any], file: str) -> dict[str, Mapping[str, Any]]:
    """The attributes that only the apply knows, by the resource's address."""
    found = {}
    for entry in _objects(plan.get("resource_changes"), "resource_changes", file):
        address, change = entry.get("address"), entry.get("change")
        unknown = change.get("after_unknown") if isinstance(change, Mapping) else None
        # What is deleted has none.
        if unknown in (None, False):
            continue
        if not isinstance(address, str) or not isinstance(unknown, Mapping):
            raise _not_terraforms(file, f"after_unknown of {address}", "a mapping")
        found[address] = unknown
    return found


def _resources(module: Any, path: Path, file: str) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """The resources of a module and of those below it."""
    if not isinstance(module, Mapping):
        return
    for number, resource in enumerate(_objects(module.get("resources"), "resources", file)):
        if resource.get("mode") != "data":
            yield (*path, "resources", number), resource
    for number, child in enumerate(_objects(module.get("child_modules"), "child_modules", file)):
        yield from _resources(child, (*path, "child_modules", number), file)


def _objects(value: Any, name: str, file: str) -> Sequence[Mapping[str, Any]]:
    """The elements of a list, which may be missing."""
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(element, Mapping) for element in value):
        raise _not_terraforms(file, name, "a list of mappings")
    return value


def _not_terraforms(file: str, name: str, kind: str) -> UsageError:
    return UsageError(f"{file}: {name} is not {kind}: use the output of terraform show -json")


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
