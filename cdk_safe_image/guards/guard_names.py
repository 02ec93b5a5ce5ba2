"""The name of a guard, with which the keys of its objects begin, and which its metrics have."""

from __future__ import annotations

from constructs import Construct, IConstruct

from ..synthesis.facts import Fact, path_of, scopes_of, stack_of, stage_of


@Fact
def _guards_in(stage: IConstruct) -> dict[tuple[str, str], str]:
    """The paths of the guards in a stage, by environment and name."""
    return {}


def guard_name(guard: Construct) -> str:
    """The name of a guard: its stack's name and its path below the stack.

    :param guard: the guard.
    :raises ValueError: if another guard of its environment has the same name.
    """
    stack, path = stack_of(guard), path_of(guard)
    below = path.removeprefix(path_of(stack)).lstrip("/")
    name = f"{stack.stack_name}-{below.replace('/', '--')}"
    guards = _guards_in(stage_of(guard) or scopes_of(guard)[0])
    other = guards.setdefault((stack.environment, name), path)
    if other != path:
        raise ValueError(f"{path}: {other} has the same name, {name}, in keys and metrics: use another id")
    return name
