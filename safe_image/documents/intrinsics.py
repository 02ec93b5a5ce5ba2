"""Resolves CloudFormation's functions, as far as they decide a value before the deploy.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from ..errors import UsageError
from .budget import Budget
from .scope import Scope
from .unknown import NO_VALUE, Unknown, concatenate, plain

_POSITION: Final = re.compile(r"[0-9]{1,9}")
# Without braces in it: openings that are never closed would cost the square of their number.
_PLACEHOLDER: Final = re.compile(r"\$\{(!?)([^{}]*)\}")
_MAX_DEPTH: Final = 100
_MAX_STEPS: Final = 1_000_000
_MAX_TEXT: Final = 4 * 1024 * 1024


class Resolver:
    """Resolves the values of one template."""

    def __init__(self, scope: Scope) -> None:
        """
        :param scope: the values that the template's functions can reference.
        """
        self._scope = scope
        self._depth = 0
        self._budget = Budget(_MAX_STEPS, f"{scope.file}: its functions stand for more than {_MAX_STEPS:,} values")
        self._conditions: dict[str, bool | Unknown] = {}

    def resolve(self, value: Any) -> Any:
        """A value with its functions replaced by their results, or by `Unknown`.

        :param value: a part of the template.
        :raises UsageError: if functions are nested too deeply, or reference each other in a circle.
        """
        self._budget.spend()
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise UsageError(
                f"{self._scope.file}: functions are nested too deeply, or reference each other in a circle"
            )
        try:
            return self._resolve(value)
        finally:
            self._depth -= 1

    def _resolve(self, value: Any) -> Any:
        if isinstance(value, list):
            return [found for element in value if (found := self.resolve(element)) is not NO_VALUE]
        if isinstance(value, str):
            return self._scope.dynamic_references(value)
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, argument),) = value.items()
            if name in _FUNCTIONS:
                return _FUNCTIONS[name](self, argument)
            if name.startswith("Fn::") and not name.startswith("Fn::ForEach::"):
                return Unknown(f"${{{name}}}", f"the result of {name}", "Set the image without it")
        resolved = {name: self.resolve(its) for name, its in value.items()}
        return {name: its for name, its in resolved.items() if its is not NO_VALUE}

    def holds(self, name: str) -> bool | Unknown:
        """Whether a condition of the template holds.

        :param name: its name.
        """
        if name not in self._conditions:
            self._conditions[name] = self._truth(self._scope.conditions.get(name))
        return self._conditions[name]

    def _truth(self, condition: Any) -> bool | Unknown:
        value = self.resolve(condition)
        if isinstance(value, Unknown | bool):
            return value
        if value in ("true", "false"):
            return bool(value == "true")
        return Unknown("${condition}", "the value of a condition", "Pass --set for the parameters that it depends on")

    def _ref(self, name: Any) -> Any:
        return self._scope.ref(plain(name))

    def _get_att(self, argument: Any) -> Any:
        parts = argument.split(".", 1) if isinstance(argument, str) else [self.resolve(part) for part in argument or ()]
        if len(parts) != 2 or not all(isinstance(part, str) for part in parts):
            return self._invalid("Fn::GetAtt")
        return self._scope.attribute(parts[0], parts[1], self.resolve)

    def _sub(self, argument: Any) -> Any:
        text, own = argument if isinstance(argument, list) and len(argument) == 2 else (argument, {})
        if not isinstance(text, str) or not isinstance(own, Mapping):
            return self._invalid("Fn::Sub")
        parts: list[Any] = []
        end = 0
        for match in _PLACEHOLDER.finditer(text):
            parts.append(text[end : match.start()])
            end = match.end()
            name = match[2].strip()
            if match[1]:
                # `${!Name}` stands for the text `${Name}`.
                parts.append(f"${{{name}}}")
            elif name in own:
                parts.append(self.resolve(own[name]))
            else:
                parts.append(self._get_att(name) if "." in name else self._ref(name))
        return self._text([*parts, text[end:]], "Fn::Sub")

    def _join(self, argument: Any) -> Any:
        if not isinstance(argument, list) or len(argument) != 2:
            return self._invalid("Fn::Join")
        separator, values = self.resolve(argument[0]), self.resolve(argument[1])
        if isinstance(values, Unknown):
            return values
        if not isinstance(separator, str) or not isinstance(values, list):
            return self._invalid("Fn::Join")
        return self._text(values, "Fn::Join", separator)

    def _text(self, parts: Sequence[Any], function: str, separator: str = "") -> Any:
        if any(isinstance(part, list | dict) for part in parts):
            return self._invalid(function)
        if sum(len(part) for part in parts if isinstance(part, str)) > _MAX_TEXT:
            raise UsageError(f"{self._scope.file}: {function} makes a text of more than {_MAX_TEXT:,} characters")
        text = concatenate(parts, separator)
        return self._scope.dynamic_references(text) if isinstance(text, str) else text

    def _find_in_map(self, argument: Any) -> Any:
        keys = [self.resolve(key) for key in argument] if isinstance(argument, list) else []
        default = keys.pop() if len(keys) == 4 and isinstance(keys[3], dict) else {}
        if len(keys) != 3:
            return self._invalid("Fn::FindInMap")
        found: Any = self._scope.mappings
        for key in keys:
            if isinstance(key, Unknown):
                return key
            found = found.get(plain(key)) if isinstance(found, Mapping) else None
        if found is None:
            found = default.get("DefaultValue")
        return self._invalid("Fn::FindInMap") if found is None else self.resolve(found)

    def _if(self, argument: Any) -> Any:
        if not isinstance(argument, list) or len(argument) != 3 or not isinstance(argument[0], str):
            return self._invalid("Fn::If")
        holds = self.holds(argument[0])
        if isinstance(holds, Unknown):
            return holds
        return self.resolve(argument[1] if holds else argument[2])

    def _select(self, argument: Any) -> Any:
        if not isinstance(argument, list) or len(argument) != 2:
            return self._invalid("Fn::Select")
        index, values = self.resolve(argument[0]), self.resolve(argument[1])
        for value in (index, values):
            if isinstance(value, Unknown):
                return value
        number = plain(index)
        if not _POSITION.fullmatch(number) or not isinstance(values, list) or int(number) >= len(values):
            return self._invalid("Fn::Select")
        return values[int(number)]

    def _split(self, argument: Any) -> Any:
        if not isinstance(argument, list) or len(argument) != 2:
            return self._invalid("Fn::Split")
        separator, text = self.resolve(argument[0]), self.resolve(argument[1])
        if isinstance(text, Unknown):
            return text
        if not isinstance(separator, str) or not separator or not isinstance(text, str):
            return self._invalid("Fn::Split")
        return text.split(separator)

    def _import_value(self, argument: Any) -> Any:
        name = self.resolve(argument)
        return name if isinstance(name, Unknown) else self._scope.settable(plain(name), f"the export {plain(name)}")

    def _to_json(self, argument: Any) -> Any:
        value = self.resolve(argument)
        return value if isinstance(value, Unknown) else json.dumps(value, default=lambda unknown: unknown.text)

    def _equals(self, argument: Any) -> Any:
        values = [self.resolve(value) for value in argument] if isinstance(argument, list) else []
        if len(values) != 2:
            return self._invalid("Fn::Equals")
        unknown = next((value for value in values if isinstance(value, Unknown)), None)
        if unknown or any(isinstance(value, list | dict) for value in values):
            return unknown or values[0] == values[1]
        return plain(values[0]) == plain(values[1])

    def _and(self, argument: Any) -> Any:
        return self._combine(argument, decides=False)

    def _or(self, argument: Any) -> Any:
        return self._combine(argument, decides=True)

    def _combine(self, argument: Any, *, decides: bool) -> Any:
        found = [self._truth(condition) for condition in argument] if isinstance(argument, list) else []
        if decides in found:
            return decides
        return next((value for value in found if isinstance(value, Unknown)), not decides)

    def _not(self, argument: Any) -> Any:
        found = self._truth(argument[0]) if isinstance(argument, list) and len(argument) == 1 else None
        return found if isinstance(found, Unknown) else not found

    def _condition(self, argument: Any) -> Any:
        return self.holds(plain(argument))

    def _invalid(self, function: str) -> Unknown:
        return Unknown(
            f"${{{function}}}",
            f"the result of {function}, whose arguments are not valid",
            f"Fix the arguments of {function}",
        )


_FUNCTIONS: Final[Mapping[str, Callable[[Resolver, Any], Any]]] = {
    "Ref": Resolver._ref,
    "Fn::GetAtt": Resolver._get_att,
    "Fn::Sub": Resolver._sub,
    "Fn::Join": Resolver._join,
    "Fn::FindInMap": Resolver._find_in_map,
    "Fn::If": Resolver._if,
    "Fn::Select": Resolver._select,
    "Fn::Split": Resolver._split,
    "Fn::ImportValue": Resolver._import_value,
    "Fn::ToJsonString": Resolver._to_json,
    "Fn::Equals": Resolver._equals,
    "Fn::And": Resolver._and,
    "Fn::Or": Resolver._or,
    "Fn::Not": Resolver._not,
    "Condition": Resolver._condition,
}
