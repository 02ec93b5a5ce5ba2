"""Images of CloudFormation's templates, of SAM's and of nested stacks whose templates are local files.

The table of the constructs, `image_verifier.rules.consumers`, says which properties name images and what runs them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from image_verifier.rules.consumer_types import NamedImage, Use
from image_verifier.rules.consumers import CONSUMERS

from ..errors import UsageError
from ..sources.place import Place
from ..sources.regular_files import file_kind
from .budget import Budget
from .document_image import DocumentImage, image_at
from .files import STANDARD_INPUT, read_document
from .intrinsics import Resolver
from .kubernetes import pod_images
from .loops import expanded
from .scope import Scope
from .settings import Settings
from .unknown import Unknown, plain
from .values import Values

_FUNCTION: Final = "AWS::Serverless::Function"
# The property of a nested stack with its template, by type.
_NESTED: Final = {"AWS::CloudFormation::Stack": "TemplateURL", "AWS::Serverless::Application": "Location"}
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/pseudo-parameter-reference.html
_PSEUDO_PARAMETERS: Final = tuple(
    f"AWS::{name}" for name in ("AccountId", "Partition", "Region", "StackId", "StackName", "URLSuffix")
)
_MAX_NESTED: Final = 10
_MAX_TEMPLATES: Final = 500
# https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/transform-aws-include.html
_INCLUDE: Final = "Fn::Transform"
_NOT_INCLUDED: Final = "the resources that a transform adds are not known"
_PROCESSED: Final = (
    "Check the processed template: aws cloudformation get-template --stack-name NAME --template-stage Processed."
)
Pseudo = Callable[[str], Any]


def read_cloudformation(file: str, settings: Settings, pseudo: Pseudo) -> Iterator[DocumentImage]:
    """The images of a template, and of its nested stacks.

    :param file: the template's path; `-` for standard input.
    :param settings: the values of `--set`.
    :param pseudo: the values of pseudo parameters.
    :raises UsageError: if it cannot be read, is not a template, or exceeds a limit.
    """
    budget = Budget(_MAX_TEMPLATES, f"{file}: its stacks have more than {_MAX_TEMPLATES} templates")
    yield from _Template(file, _Common(settings, pseudo, budget), {}, ()).images()


@dataclass(frozen=True)
class _Common:
    """The things that a template and its nested stacks share."""

    settings: Settings
    pseudo: Pseudo
    budget: Budget


class _Template:
    """A template, read for the images that it names."""

    def __init__(self, file: str, common: _Common, arguments: Mapping[str, Any], above: tuple[str, ...]) -> None:
        common.budget.spend()
        self._document: Values = read_document(file, short_forms=True)
        self._file, self._common, self._above = file, common, (*above, file)
        parameters = self._document.value.get("Parameters")
        common.settings.accept(parameters if isinstance(parameters, Mapping) else ())
        common.settings.accept(_PSEUDO_PARAMETERS)
        if not isinstance(self._document.value.get("Resources"), Mapping):
            raise UsageError(f"{file}: it is not a template: it has no Resources")
        self._nested: dict[str, _Template | Unknown] = {}
        scope = Scope(file, self._document.value, common.settings, arguments, common.pseudo, self._output_of)
        self._resolver = Resolver(scope)
        self._resources = dict[str, tuple[tuple[str | int, ...], Mapping[str, Any]]]()
        for path, name, resource in expanded(scope.resources, self._resolver, file):
            if name != _INCLUDE and not (isinstance(resource, Mapping) and "Type" in resource):
                place = self._document.place(path)
                raise UsageError(f"{place.file}:{place.line}: the resource {name} is not a mapping with a Type")
            self._resources[name] = (path, resource)

    def images(self) -> Iterator[DocumentImage]:
        """The images that the resources name which this template makes."""
        for name, (path, resource) in self._resources.items():
            if name == _INCLUDE:
                yield DocumentImage(name, self._document.place(path), missing=_NOT_INCLUDED, advice=_PROCESSED)
                continue
            condition = resource.get("Condition")
            if isinstance(condition, str) and self._resolver.holds(condition) is False:
                continue
            type_ = plain(resource.get("Type"))
            if type_ in CONSUMERS:
                yield from self._of_consumer(name, type_, resource, path)
            elif type_ in _NESTED:
                yield from self._of_stack(name, path)

    def output(self, name: str) -> Any:
        """The value of an output.

        :param name: its name.
        """
        outputs = self._document.value.get("Outputs")
        output = outputs.get(name) if isinstance(outputs, Mapping) else None
        return self._resolver.resolve(output.get("Value")) if isinstance(output, Mapping) else None

    def _of_consumer(
        self, name: str, type_: str, resource: Mapping[str, Any], path: tuple[str | int, ...]
    ) -> Iterator[DocumentImage]:
        properties = self._properties(name)
        if isinstance(properties, Unknown):
            yield image_at(self._document.place((*path, "Properties")), properties, Use())
            return
        if type_ == _FUNCTION:
            properties = self._sam_function(name, resource, properties)
        for image in CONSUMERS[type_].named_images(properties):
            place = self._document.place((*path, "Properties", *image.path))
            if image.property.holds_manifests:
                yield from _of_manifests(image, place)
            elif not _is_provided(image):
                yield image_at(place, image.value, image.use)

    def _properties(self, name: str) -> Mapping[str, Any] | Unknown:
        """The properties of a resource; unknown where only the deploy makes them."""
        path, resource = self._resources[name]
        properties = self._resolver.resolve(resource.get("Properties") or {})
        if isinstance(properties, Mapping | Unknown):
            return properties
        place = self._document.place((*path, "Properties"))
        raise UsageError(f"{place.file}:{place.line}: the Properties of {name} are not a mapping")

    def _sam_function(self, name: str, resource: Mapping[str, Any], own: Mapping[str, Any]) -> Mapping[str, Any]:
        """A function of SAM with its globals, and with the image that `sam build` makes in the local Docker.

        https://github.com/aws/aws-sam-cli/blob/develop/samcli/lib/build/app_builder.py
        """
        found: Any = self._document.value
        for key in ("Globals", "Function"):
            found = found.get(key) if isinstance(found, Mapping) else None
        common = self._resolver.resolve(found) if isinstance(found, Mapping) else {}
        properties = {**(common if isinstance(common, Mapping) else {}), **own}
        metadata = resource.get("Metadata")
        is_built_here = isinstance(metadata, Mapping) and ("Dockerfile" in metadata or "DockerTag" in metadata)
        uri = properties.get("ImageUri")
        if properties.get("PackageType") != "Image" or not is_built_here or (isinstance(uri, str) and "/" in uri):
            return properties
        assert isinstance(metadata, Mapping)
        tag = plain(self._resolver.resolve(metadata.get("DockerTag", "latest")))
        return {**properties, "ImageUri": f"docker-daemon:{uri or f'{name.lower()}:{tag}'}"}

    def _of_stack(self, name: str, path: tuple[str | int, ...]) -> Iterator[DocumentImage]:
        template = self._nested_template(name)
        if isinstance(template, Unknown):
            place = self._document.place((*path, "Properties"))
            missing = f"the template of the nested stack {name} is not a local file"
            yield DocumentImage(template.text, place, missing=missing, advice=f"{template.advice}.")
        else:
            yield from template.images()

    def _output_of(self, stack: str, output: str) -> Any:
        template = self._nested_template(stack)
        return template if isinstance(template, Unknown) else template.output(output)

    def _nested_template(self, name: str) -> _Template | Unknown:
        if name not in self._nested:
            self._nested[name] = self._read_nested(name)
        return self._nested[name]

    def _read_nested(self, name: str) -> _Template | Unknown:
        _, resource = self._resources[name]
        properties = self._properties(name)
        if isinstance(properties, Unknown):
            return properties
        location = properties.get(_NESTED[plain(resource.get("Type"))])
        metadata = resource.get("Metadata")
        # CDK writes the template beside the stack's own, and uploads it.
        local = metadata.get("aws:asset:path") if isinstance(metadata, Mapping) else None
        text = local or location
        folder = Path() if self._file == STANDARD_INPUT else Path(self._file).parent
        if not isinstance(text, str) or "://" in text or file_kind(folder / text) != "file":
            shown = text if isinstance(text, str) else text.text if isinstance(text, Unknown) else "its template"
            return Unknown(
                f"{name} ({shown})",
                f"the outputs of {name}, whose template is not a local file",
                "Check it by itself",
            )
        if len(self._above) > _MAX_NESTED:
            raise UsageError(f"{self._file}: stacks are nested more than {_MAX_NESTED} levels deep")
        arguments = properties.get("Parameters")
        nested = str(folder / text)
        return _Template(nested, self._common, arguments if isinstance(arguments, Mapping) else {}, self._above)


def _is_provided(image: NamedImage) -> bool:
    return isinstance(image.value, str) and any(map(image.value.startswith, image.property.provided))


def _of_manifests(image: NamedImage, place: Place) -> Iterator[DocumentImage]:
    """The images of manifests that CDK applies to a cluster. Their text has a placeholder for each unknown value."""
    text = image.value.text if isinstance(image.value, Unknown) else image.value
    try:
        manifests = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        manifests = None
    for pod in pod_images(manifests):
        value = pod.image
        if isinstance(image.value, Unknown) and isinstance(value, str) and "${" in value:
            value = Unknown(value, image.value.missing, image.value.advice)
        yield image_at(place, value, replace(image.use, platform=pod.platform))
