"""Draws the README's picture of a refused deploy: `python -m release.picture [LOG]`.

The picture shows the end of the CDK CLI's output, up to the first command that fixes the image. Its text comes from the
log of a real deploy, by default the last one of `make demo`. The text is kept beside the picture, so that a test can
compare it with the words of today's verifier.
"""

from __future__ import annotations

import sys
from html import escape
from pathlib import Path
from typing import Final

from local_aws.demo.pasting import last_block
from local_engines.checkout import LOCAL, ROOT

TEXT: Final = ROOT / "docs" / "pictures" / "refused-deploy.txt"
PICTURE: Final = TEXT.with_suffix(".svg")
_LOG: Final = LOCAL / "demo" / "not-an-image.log"
_FIRST_COMMAND: Final = "safe-image heal "
_CUT: Final = "⋮"

# Sizes are in pixels. A text is stretched to its columns, so that every font gives the same lines.
_FONT: Final = 13
_COLUMN: Final = 7.8
_ROW: Final = 19
_MARGIN: Final = 18
_BAR: Final = 34
# The beginnings of lines that stand out, each with its class of the style sheet.
_LOOKS: Final = {
    "❌": "bad",
    "Received": "bad",
    "attestation (": "bad",
    "To fix it": "head",
    "1. ": "head",
    "2. ": "soft",
    _FIRST_COMMAND: "run",
    _CUT: "soft",
}
_STYLE: Final = (
    "text{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'Liberation Mono','DejaVu Sans Mono',monospace;"
    f"font-size:{_FONT}px;fill:#d6dee8;white-space:pre}}.bad{{fill:#ff8a80}}.head{{fill:#fff;font-weight:600}}"
    ".soft{fill:#8b98a8}.run{fill:#63d18c;font-weight:600}.title{fill:#8b98a8}"
)


def main(log: Path) -> int:
    """Draw the picture from the log of a refused deploy, and return the exit code."""
    if not log.is_file():
        print(f"{log} does not exist: run make demo first, or pass the log of a refused cdk deploy", file=sys.stderr)
        return 2
    lines = shown_lines(log.read_text(encoding="utf-8"))
    if not lines:
        print(f"{log} does not show a refused deploy with {_FIRST_COMMAND.strip()}: pass another log", file=sys.stderr)
        return 2
    TEXT.parent.mkdir(exist_ok=True)
    TEXT.write_text("\n".join(lines) + "\n", encoding="utf-8")
    PICTURE.write_text(picture(lines), encoding="utf-8")
    print(f"{PICTURE.relative_to(ROOT)} shows {len(lines)} lines of {log}")
    return 0


def shown_lines(output: str) -> list[str]:
    """The lines of the CLI's last block up to the title behind the first command; none if it has no such command.

    :param output: of `cdk deploy`.
    """
    lines = [line.rstrip() for line in last_block(output).splitlines()]
    end = next((n for n, line in enumerate(lines) if line.lstrip().startswith(_FIRST_COMMAND)), None)
    return [] if end is None else [*lines[: end + 2], f"  {_CUT}"]


def picture(lines: list[str]) -> str:
    """The picture as SVG, a terminal's window.

    :param lines: the window's text.
    """
    width = round(2 * _MARGIN + _COLUMN * max(map(len, lines)))
    height = _BAR + _MARGIN + _ROW * len(lines)
    dots = "".join(f'<circle cx="{_MARGIN + 18 * n}" cy="17" r="5.5" fill="#3a4757"/>' for n in range(3))
    rows = "\n".join(_row(line, _BAR + _ROW * number + _FONT) for number, line in enumerate(lines) if line)
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">
<title>The end of a refused cdk deploy</title>
<style>{_STYLE}</style>
<rect width="{width}" height="{height}" rx="9" fill="#0f1620"/>
{dots}
<text class="title" x="{width / 2:g}" y="21" text-anchor="middle">cdk deploy</text>
{rows}
</svg>
"""


def _row(line: str, y: int) -> str:
    text = line.lstrip()
    indent = len(line) - len(text)
    look = next((look for start, look in _LOOKS.items() if text.startswith(start)), "")
    # Not every font has the emoji.
    text = text.replace("❌", "✕")
    length = f'textLength="{_COLUMN * len(text):g}" lengthAdjust="spacingAndGlyphs"'
    return (
        f'<text class="{look}" x="{_MARGIN + _COLUMN * indent:g}" y="{y}" {length}>{escape(text, quote=False)}</text>'
    )


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else _LOG))
