"""Compares an app with the library and without it: verified images, resources that wait, and all other changes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, Final

from .assembly import AppStack
from .waiting import Order, Place, references

_VERIFICATION: Final = "Custom::ImageVerification"
_SERVICE: Final = "AWS::ECS::Service"
# CDK appends a hash of the path.
_SUFFIX_LENGTH: Final = 8
_PIPELINE: Final = "AWS::CodePipeline::Pipeline"
# In the stack of a pipeline, CDK Pipelines makes a project for each asset, which is an image's or the Lambda's code. It
# publishes the asset and does not run it (docs/constructs.md).
_PUBLISHING: Final = frozenset({"AWS::CodeBuild::Project", _PIPELINE, "AWS::IAM::Policy"})
# The resources that docs/safe-images.md and docs/operations.md announce.
_ANNOUNCED: Final = frozenset(
    {
        _VERIFICATION,
        "AWS::CloudFormation::WaitConditionHandle",
        "AWS::IAM::Policy",
        "AWS::IAM::Role",
        "AWS::Lambda::Function",
        "AWS::Logs::LogGroup",
    }
)


@dataclass
class Comparison:
    """The findings about an app.

    :param images: the number of pairs of an image and a stack.
    :param consumers: the number of resources that reference an image and wait.
    :param added: the resources that were added, by type.
    :param problems: every difference from the documentation.
    """

    images: int = 0
    consumers: int = 0
    added: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


def compare(plain: Mapping[str, AppStack], safe: Mapping[str, AppStack]) -> Comparison:
    """Compare an app with the library and without it.

    :param plain: its stacks without.
    :param safe: its stacks with.
    """
    found = Comparison()
    if plain.keys() != safe.keys():
        found.problems.append(f"the stacks are {sorted(safe)} instead of {sorted(plain)}")
        return found
    verified = {name: _Verified(stack) for name, stack in safe.items()}
    for name, stack in safe.items():
        _check_verified(stack, verified[name], found)
        for consumer, image in _consumers(plain[name], _names(plain)):
            found.consumers += 1
            if not _waits(consumer, image, name, verified, safe):
                found.problems.append(f"{name}: {'/'.join(consumer)} does not wait for the image {image}")
        _check_changes(plain[name], stack, {**_names(plain), **_names(safe)}, found)
    return found


class _Verified:
    """The verifications of a stack, and the order of its resources."""

    def __init__(self, stack: AppStack) -> None:
        self.order = Order(stack)
        # By the image's tag, and by its name.
        self.tags: dict[str, list[Place]] = {}
        self.names: dict[str, list[Place]] = {}
        for place, resource in _resources(stack):
            if resource["Type"] == _VERIFICATION:
                tag = resource["Properties"]["ImageTag"]
                self.tags.setdefault(tag, []).append(place)
                self.names.setdefault(stack.images.get(tag, ""), []).append(place)


def _names(stacks: Mapping[str, AppStack]) -> dict[str, str]:
    """The names of an app's images, by their tags."""
    return {tag: name for stack in stacks.values() for tag, name in stack.images.items()}


def _resources(stack: AppStack) -> Iterator[tuple[Place, dict[str, Any]]]:
    for path, template in stack.templates.items():
        for name, resource in template.get("Resources", {}).items():
            yield (*path, name), resource


def _consumers(stack: AppStack, names: Mapping[str, str]) -> Iterator[tuple[Place, str]]:
    """The resources of a plain stack that contain an image's tag, with the image's name."""
    for place, resource in _resources(stack):
        text = "" if resource["Type"] in _PUBLISHING else json.dumps(resource)
        yield from ((place, name) for tag, name in names.items() if tag in text)


def _check_verified(stack: AppStack, verified: _Verified, found: Comparison) -> None:
    for tag, name in stack.images.items():
        found.images += 1
        if tag not in verified.tags:
            found.problems.append(f"{stack.name}: nothing verifies the image {name}")
    if cycle := verified.order.cycle():
        found.problems.append(f"{stack.name}: a cycle: {cycle}")
    all_verifications = {place for places in verified.tags.values() for place in places}
    for place, resource in _resources(stack):
        if resource["Type"] == _SERVICE and all_verifications - verified.order.all_before(place):
            found.problems.append(f"{stack.name}: the service {'/'.join(place)} does not wait for all verifications")


def _waits(
    consumer: Place, image: str, stack: str, verified: Mapping[str, _Verified], safe: Mapping[str, AppStack]
) -> bool:
    own = verified[stack]
    if places := own.names.get(image):
        return not own.order.all_before(consumer).isdisjoint(places)
    before: set[str] = set()
    pending = [stack]
    while pending:
        others = safe[pending.pop()].dependencies - before
        before |= others
        pending += others
    return any(image in verified[other].names for other in before)


def _check_changes(plain: AppStack, safe: AppStack, names: Mapping[str, str], found: Comparison) -> None:
    # In the name of a nested stack's parameter, the last part of the logical ID is another one.
    verifications = {
        place[-1][:-_SUFFIX_LENGTH]: names[resource["Properties"]["ImageTag"]]
        for place, resource in _resources(safe)
        if resource["Type"] == _VERIFICATION
    }
    publishes = any(resource["Type"] == _PIPELINE for _, resource in _resources(plain))
    ignored = _PUBLISHING if publishes else frozenset()
    for path, before in plain.templates.items():
        after = safe.templates.get(path, {})
        where = "/".join((plain.name, *path))
        added = after.get("Resources", {}).keys() - before.get("Resources", {}).keys()
        types = Counter(after["Resources"][name]["Type"] for name in added)
        found.added += types
        found.problems += [f"{where}: added a resource of type {it}" for it in types if it not in _ANNOUNCED | ignored]
        changes = _Changes({**names, **verifications}, added, ignored, is_nested=bool(path))
        found.problems += [f"{where}: {problem}" for problem in changes.unexplained(before, after)]
    for path in safe.templates.keys() - plain.templates.keys():
        found.problems.append(f"{plain.name}: added a nested stack {'/'.join(path)}")


class _Changes:
    """The differences between two templates that are not announced."""

    def __init__(self, images: Mapping[str, str], added: set[str], ignored: Set[str], *, is_nested: bool) -> None:
        """
        :param images: the names of the images, by tags and by the beginnings of the logical IDs of verifications.
        :param added: the logical IDs that were added.
        :param ignored: the types of resources that may change.
        :param is_nested: whether the templates are those of a nested stack.
        """
        self._images, self._added, self._ignored, self._is_nested = images, added, ignored, is_nested

    def unexplained(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
        """The changes of a template that are not announced, as text.

        :param before: the template without the library.
        :param after: the template with it.
        """
        for section in before.keys() | after.keys():
            old, new = before.get(section, {}), after.get(section, {})
            if not isinstance(old, dict) or not isinstance(new, dict):
                continue
            if section != "Resources" and not self._is_nested and (more := new.keys() - old.keys()):
                yield f"added to {section}: {', '.join(sorted(more))}"
            for name, value in old.items():
                if name not in new:
                    yield f"removed from {section}: {name}"
                elif section != "Resources" or value["Type"] not in self._ignored:
                    yield from self._between((section, name), value, new[name])

    def _between(self, path: tuple[str, ...], before: Any, after: Any) -> Iterator[str]:
        if before == after or self._is_explained(path, before, after):
            return
        if isinstance(before, dict) and isinstance(after, dict) and before.keys() | after.keys() != {"Fn::Join"}:
            for name in before.keys() | after.keys():
                yield from self._between((*path, name), before.get(name), after.get(name))
        elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
            for number, (old, new) in enumerate(zip(before, after, strict=True)):
                yield from self._between((*path, str(number)), old, new)
        else:
            yield f"{'.'.join(path)} was {json.dumps(before)[:200]} and is {json.dumps(after)[:200]}"

    def _is_explained(self, path: tuple[str, ...], before: Any, after: Any) -> bool:
        last = path[-1]
        # A nested template has another address if it changes, and gets attributes by parameters.
        if last in ("Metadata", "TemplateURL"):
            return True
        if last == "DependsOn":
            old, new = (set([it] if isinstance(it, str) else it or []) for it in (before, after))
            return old <= new and new - old <= self._added
        if len(path) > 2 and path[-2] == "Parameters" and before is None:
            return not self._added.isdisjoint(references({"": after})) or self._is_nested
        if (isinstance(before, dict) and len(before) > 1) or (isinstance(before, list) and last != "Fn::Join"):
            return False
        return bool(self._named(before)) and self._named(before) == self._named(after)

    def _named(self, value: Any) -> set[str]:
        """The names of the images that a value references."""
        text = json.dumps(value)
        return {name for mark, name in self._images.items() if mark in text}
