"""Variables of Compose files, by the examples of its specification."""

from __future__ import annotations

import pytest

from safe_image.documents.interpolation import interpolated
from safe_image.documents.unknown import Unknown

VARIABLES = {"TAG": "1", "EMPTY": "", "HOST": "ghcr.io"}
TEXTS = [
    ("a:$TAG", "a:1"),
    ("${HOST}/a:${TAG}", "ghcr.io/a:1"),
    ("a:${NONE:-2}", "a:2"),
    ("a:${NONE-2}", "a:2"),
    ("a:${EMPTY:-2}", "a:2"),
    ("a${EMPTY-2}", "a"),
    ("a:${NONE:-${TAG}}", "a:1"),
    ("a:${NONE:-x${ALSO:-${TAG}}}y", "a:x1y"),
    ("a:${TAG:?needed}", "a:1"),
    ("a${TAG:+:$TAG}", "a:1"),
    ("a${NONE:+:1}", "a"),
    ("a$$b", "a$b"),
    ("a$", "a$"),
]


@pytest.mark.parametrize(("text", "found"), TEXTS)
def test_a_variable_is_replaced(text: str, found: str) -> None:
    assert interpolated(text, VARIABLES.get) == found


@pytest.mark.parametrize("text", ["a:$NONE", "a:${NONE}", "a:${NONE:?set it}", "a:${EMPTY:?set it}", "a:${NONE?}"])
def test_a_variable_without_a_value_is_unknown(text: str) -> None:
    found = interpolated(text, VARIABLES.get)
    name = "EMPTY" if "EMPTY" in text else "NONE"
    assert found == Unknown(f"a:${{{name}}}", f"the variable {name}", f"Pass --set {name}=VALUE")
