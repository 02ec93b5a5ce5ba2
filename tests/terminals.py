"""The places where people see a reason: the CDK CLI's last block, a terminal's rows, a pipeline's log."""

from __future__ import annotations

from typing import Final

# CloudFormation's own words, before those of a custom resource.
BEFORE: Final = "Received response status [FAILED] from custom resource. Message returned: "


def cli_block(reason: str) -> str:
    """A reason as aws-cdk 2.1148.1 prints it in its last block: cut at 120 columns, each piece behind two columns.

    https://github.com/aws/aws-cdk-cli/blob/main/packages/%40aws-cdk/toolkit-lib/lib/api/diagnosing/stack-diagnosis.ts

    :param reason: as the custom resource sent it.
    """
    text, pieces, start = BEFORE + reason, [], 0
    while start < len(text):
        end = start + 120
        while start < end < len(text) and text[end] not in " \n":
            end -= 1
        if end == start:
            end = next((i for i in range(start + 120, len(text)) if text[i] in " \n"), len(text))
        pieces.append(f"  {text[start:end]}")
        start = end + 1
    return "\n".join(pieces)


def terminal_rows(text: str, columns: int) -> list[str]:
    """The rows in which a terminal shows a text.

    :param columns: the width of the terminal.
    """
    return [
        line[start : start + columns] for line in text.split("\n") for start in range(0, max(len(line), 1), columns)
    ]


def github_log(text: str) -> str:
    """A text in a downloaded log of GitHub Actions: the time before each line."""
    return "\n".join(f"2026-11-28T02:03:{i % 60:02}.1234567Z {line}" for i, line in enumerate(text.split("\n")))
