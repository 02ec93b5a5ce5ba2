"""A row of the consumers: where the images of a type stand, and the rules that say their runtime and platform."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

Path = tuple[str | int, ...]
_IF: Final = "Fn::If"


@dataclass(frozen=True)
class Rule:
    """Says a runtime or a platform: that of a property's value, or that which holds without the property.

    :param path: the property, such as `RuntimePlatform.CpuArchitecture`; `*` stands for each element of a list or a
        map. Empty where no property says it.
    :param values: what each value of the property means. Another value, or one that is not known, means nothing.
    :param words: the property in a message, such as `its RuntimePlatform`.
    :param otherwise: what holds without the property; empty where the next rule decides.
    :param other_words: the default in a message.
    """

    path: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    words: str = ""
    otherwise: str = ""
    other_words: str = ""


@dataclass(frozen=True)
class Use:
    """How a consumer runs an image.

    :param runs_on: names of the runtimes; empty where none that is known runs it.
    :param platform: such as `linux/amd64`; None where nothing says it.
    :param stated_by: the property or the default that says the platform, for messages.
    """

    runs_on: tuple[str, ...] = ()
    platform: str | None = None
    stated_by: str = ""


@dataclass(frozen=True)
class ImageProperty:
    """A property that names an image.

    :param path: the property, such as `ContainerDefinitions.*.Image`.
    :param runtimes: what says the runtime: the first rule that applies. Empty where no known runtime runs it.
    :param platforms: what says the platform: the first rule that applies.
    :param system: the property with the operating system's family.
    :param provided: how a value begins that is not an image of a registry, because the service provides it.
    :param holds_manifests: whether it holds Kubernetes' manifests or a chart's values, as JSON, instead of an image.
    """

    path: str
    runtimes: tuple[Rule, ...] = ()
    platforms: tuple[Rule, ...] = ()
    system: str = ""
    provided: tuple[str, ...] = ()
    holds_manifests: bool = False

    @property
    def how(self) -> tuple[object, ...]:
        """All that decides how the images of this property are run."""
        return self.runtimes, self.platforms, self.system

    def use(self, properties: Mapping[str, Any]) -> Use:
        """How the images of this property are run.

        :param properties: the properties of the resource.
        """
        runs_on = dict.fromkeys(name for name, _ in _apply(self.runtimes, properties))
        platforms = dict(_apply(self.platforms, properties))
        if len(platforms) != 1:
            return Use(tuple(runs_on))
        ((platform, words),) = platforms.items()
        return Use(tuple(runs_on), self._on_system(platform, properties), words)

    def _on_system(self, platform: str, properties: Mapping[str, Any]) -> str | None:
        families = [value for _, value in find(properties, self.system)] if self.system else []
        if not all(isinstance(family, str) for family in families):
            return None
        is_linux = all(family.upper() == "LINUX" for family in families)
        return platform if is_linux else platform.replace("linux/", "windows/")


@dataclass(frozen=True)
class NamedImage:
    """An image that a resource names.

    :param path: its place in the resource's properties.
    :param value: the value there, which an intrinsic function may stand for.
    :param property: the property that names it.
    :param use: how it is run.
    """

    path: Path
    value: Any
    property: ImageProperty
    use: Use


@dataclass(frozen=True)
class ConsumerType:
    """A type of resource that names images.

    :param name: CloudFormation's name.
    :param images: the properties that name images.
    :param own_region: whether it only runs images of its own region.
    :param condition: a property and the value without which the resource runs no image.
    """

    name: str
    images: tuple[ImageProperty, ...]
    own_region: bool = False
    condition: tuple[str, str] | None = None

    def runs_images(self, properties: Mapping[str, Any]) -> bool:
        """Whether a resource of this type runs an image at all.

        :param properties: the properties of the resource.
        """
        return self.condition is None or properties.get(self.condition[0]) == self.condition[1]

    def use(self, properties: Mapping[str, Any]) -> Use:
        """How a resource runs its images, all of them together.

        :param properties: the properties of the resource.
        """
        # Where all properties say the same, the images need not be read.
        is_uniform = all(image.how == self.images[0].how for image in self.images)
        present = [image for image in self.images if not is_uniform and any(find(properties, image.path))]
        uses = [image.use(properties) for image in present or self.images[:1]]
        runs_on = tuple(dict.fromkeys(name for use in uses for name in use.runs_on))
        platforms = {use.platform: use.stated_by for use in uses}
        if len(platforms) != 1:
            return Use(runs_on)
        ((platform, words),) = platforms.items()
        return Use(runs_on, platform, words)

    def named_images(self, properties: Mapping[str, Any]) -> Iterator[NamedImage]:
        """The images that a resource names, without those that it only references, such as in its environment.

        :param properties: the properties of the resource.
        """
        for image in self.images:
            for path, value in find(properties, image.path):
                yield NamedImage(path, value, image, image.use(properties))


def template_names(value: Any) -> Any:
    """A value with the names of a template: `CpuArchitecture`, which APIs and CDK call `cpuArchitecture`.

    :param value: the properties, or a part of them.
    """
    if isinstance(value, list):
        return [template_names(element) for element in value]
    if isinstance(value, Mapping):
        return {f"{name[:1].upper()}{name[1:]}": template_names(element) for name, element in value.items()}
    return value


def find(value: Any, path: str) -> Iterator[tuple[Path, Any]]:
    """The values at a path, each with its place.

    :param value: the properties.
    :param path: such as `ContainerDefinitions.*.Image`.
    """
    name, _, rest = path.partition(".")
    for key, child in _children(value, name):
        for below, found in find(child, rest) if rest else (((), child),):
            yield (key, *below), found


def _children(value: Any, name: str) -> Iterator[tuple[str | int, Any]]:
    if isinstance(value, Mapping) and value.keys() == {_IF}:
        # Only the deploy knows which of the two it is.
        branches = value[_IF]
        for branch in branches[1:] if isinstance(branches, list) else ():
            yield from _children(branch, name)
    elif name != "*":
        if isinstance(value, Mapping) and name in value:
            yield name, value[name]
    elif isinstance(value, Mapping):
        yield from value.items()
    elif isinstance(value, Sequence) and not isinstance(value, str):
        yield from enumerate(value)


def _apply(rules: Sequence[Rule], properties: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The values of the first rule that applies, each with the words for it."""
    for rule in rules:
        found = [value for _, value in find(properties, rule.path)] if rule.path else []
        if found:
            # A value that is only known at deploy is an intrinsic function, which is a mapping.
            known = [rule.values.get(value.upper()) for value in found if isinstance(value, str)]
            return [(value, rule.words) for value in known if value]
        if rule.otherwise:
            return [(rule.otherwise, rule.other_words)]
    return []
