"""Exports of stacks: as on AWS, an update may neither remove nor change an export that another stack imports.

ministack only checks this when a stack is deleted.
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-stack-exports.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

Exports = Mapping[str, Mapping[str, str]]
ResolveOutputs = Callable[..., tuple[list[Any], Exports]]


class ExportInUse(Exception):
    """An update removes or changes an export that another stack imports."""


def keep_exports_in_use(
    resolve: ResolveOutputs, exports: MutableMapping[str, Any], importers: Callable[[str, str], list[str]]
) -> ResolveOutputs:
    """ministack's function for the outputs of an updated stack, which then fails the update as AWS would.

    :param resolve: ministack's function. It returns the outputs and the exports of a stack; its last argument is the
        stack's ID.
    :param exports: the exports of all stacks, by name. Removed ones are removed there too.
    :param importers: the names of the stacks that import an export, by its name and the ID of its stack.
    """

    def resolve_and_check(*arguments: Any) -> tuple[list[Any], Exports]:
        outputs, new = resolve(*arguments)
        stack_id = arguments[-1]
        old = {name: export for name, export in exports.items() if export["StackId"] == stack_id}
        for name, export in old.items():
            if name in new and new[name]["Value"] == export["Value"]:
                continue
            if stacks := importers(name, stack_id):
                change = "updated" if name in new else "deleted"
                raise ExportInUse(f"Export {name} cannot be {change} as it is in use by {', '.join(stacks)}")
        for name in old.keys() - new.keys():
            del exports[name]
        return outputs, new

    return resolve_and_check
