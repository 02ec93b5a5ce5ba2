"""The values that the functions of a template can reference: parameters, pseudo parameters and resources."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from image_verifier.custom_resource.schema import RESOURCE_TYPE, Attribute, Property

from .settings import Settings
from .unknown import NO_VALUE, Unknown, concatenate, plain

# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references.html
# Without braces in it: openings that are never closed would cost the square of their number.
_DYNAMIC: Final = re.compile(r"\{\{resolve:[^{}]*\}\}")
_REPOSITORY: Final = "AWS::ECR::Repository"
_STACKS: Final = frozenset({"AWS::CloudFormation::Stack", "AWS::Serverless::Application"})
_OUTPUT: Final = "Outputs."
Resolve = Callable[[Any], Any]


@dataclass(frozen=True)
class Scope:
    """The values that the functions of one template can reference.

    :param file: the template's file, for messages.
    :param template: the template.
    :param settings: the values of `--set`.
    :param arguments: the values that the stack above passes; empty for a template of its own.
    :param pseudo: the value of a pseudo parameter such as `AWS::Region`, which a caller's environment may have.
    :param output: an output of a nested stack, by the stack's logical ID and the output's name.
    """

    file: str
    template: Mapping[str, Any]
    settings: Settings
    arguments: Mapping[str, Any]
    pseudo: Callable[[str], Any]
    output: Callable[[str, str], Any]

    @property
    def conditions(self) -> Mapping[str, Any]:
        """The template's conditions."""
        return self._section("Conditions")

    @property
    def mappings(self) -> Mapping[str, Any]:
        """The template's mappings."""
        return self._section("Mappings")

    @property
    def resources(self) -> Mapping[str, Any]:
        """The template's resources."""
        return self._section("Resources")

    def _section(self, name: str) -> Mapping[str, Any]:
        section = self.template.get(name)
        return section if isinstance(section, Mapping) else {}

    def settable(self, name: str, what: str) -> str | Unknown:
        """The value that the user set for a name; unknown if there is none.

        :param name: the name in `--set`.
        :param what: what it is, for the message.
        """
        value = self.settings.get(name)
        if value is not None:
            return value
        quoted = f"'{name}=VALUE'" if re.search(r"[^\w.:/-]", name) else f"{name}=VALUE"
        return Unknown(f"${{{name}}}", what, f"Pass --set {quoted}")

    def ref(self, name: str) -> Any:
        """The value of `Ref`.

        :param name: a parameter, a pseudo parameter or a resource.
        """
        if name == "AWS::NoValue":
            return NO_VALUE
        if name.startswith("AWS::"):
            return self.pseudo(name)
        parameter = self._section("Parameters").get(name)
        if isinstance(parameter, Mapping):
            return self._parameter(name, parameter)
        resource = self.resources.get(name)
        if isinstance(resource, Mapping) and resource.get("Type") == _REPOSITORY:
            return self._repository_name(name, resource)
        return self.settable(name, f"the value of {name}")

    def _parameter(self, name: str, parameter: Mapping[str, Any]) -> Any:
        type_ = plain(parameter.get("Type"))
        value = self.arguments[name] if name in self.arguments else self.settings.get(name)
        # The default of such a parameter is the name of a value in Parameter Store.
        if value is None and not type_.startswith("AWS::SSM::Parameter::Value"):
            value = parameter.get("Default")
        if value is None:
            return self.settable(name, f"the parameter {name}")
        is_list = type_ == "CommaDelimitedList" or type_.startswith("List<")
        return [part.strip() for part in value.split(",")] if is_list and isinstance(value, str) else value

    def attribute(self, name: str, attribute: str, resolve: Resolve) -> Any:
        """The value of `Fn::GetAtt`.

        :param name: the resource's logical ID.
        :param attribute: the attribute.
        :param resolve: resolves the resource's properties.
        """
        resource = self.resources.get(name)
        type_ = plain(resource.get("Type")) if isinstance(resource, Mapping) else ""
        value = None
        if type_ == RESOURCE_TYPE and isinstance(resource, Mapping):
            properties = resolve(resource.get("Properties") or {})
            value = _verified(attribute, properties) if isinstance(properties, Mapping) else None
        elif type_ == _REPOSITORY and isinstance(resource, Mapping):
            value = self._of_repository(name, attribute, resource, resolve)
        elif type_ in _STACKS and attribute.startswith(_OUTPUT):
            value = self.output(name, attribute.removeprefix(_OUTPUT))
        if value is not None and not isinstance(value, Unknown):
            return value
        set_by_user = self.settings.get(f"{name}.{attribute}")
        if set_by_user is not None:
            return set_by_user
        return value or self.settable(f"{name}.{attribute}", f"the attribute {attribute} of {name}")

    def _repository_name(self, name: str, resource: Mapping[str, Any]) -> Any:
        properties = resource.get("Properties")
        given = properties.get("RepositoryName") if isinstance(properties, Mapping) else None
        if isinstance(given, str):
            return given
        return self.settable(name, f"the name of the repository {name}")

    def _of_repository(self, name: str, attribute: str, resource: Mapping[str, Any], resolve: Resolve) -> Any:
        properties = resolve(resource.get("Properties") or {})
        repository = properties.get("RepositoryName") if isinstance(properties, Mapping) else None
        if repository is None:
            repository = self.settable(name, f"the name of the repository {name}")
        account, region = self.pseudo("AWS::AccountId"), self.pseudo("AWS::Region")
        if attribute == "RepositoryUri":
            suffix = self.pseudo("AWS::URLSuffix")
            return concatenate((account, ".dkr.ecr.", region, ".", suffix, "/", repository))
        if attribute == "Arn":
            partition = self.pseudo("AWS::Partition")
            return concatenate(("arn:", partition, ":ecr:", region, ":", account, ":repository/", repository))
        return None

    def dynamic_references(self, text: str) -> str | Unknown:
        """A text with its references to Parameter Store and Secrets Manager replaced by the values that the user set.

        :param text: a text of the template.
        """
        if "{{resolve:" not in text:
            return text
        parts: list[Any] = []
        end = 0
        for match in _DYNAMIC.finditer(text):
            name = match[0].strip("{}")
            parts += [text[end : match.start()], self.settable(name, f"the value of {match[0]}")]
            end = match.end()
        return concatenate([*parts, text[end:]])


def _verified(attribute: str, properties: Mapping[str, Any]) -> Any:
    """An attribute of a verification of this library: the image that it verifies, by its tag or digest."""
    uri, tag = properties.get(Property.REPOSITORY_URI), properties.get(Property.IMAGE_TAG)
    digest = properties.get(Property.IMAGE_DIGEST)
    if attribute == Attribute.IMAGE_TAG:
        return tag
    if attribute == Attribute.IMAGE_DIGEST:
        return digest
    if attribute != Attribute.IMAGE_URI or uri is None:
        return None
    return concatenate((uri, "@", digest) if digest else (uri, ":", tag))
