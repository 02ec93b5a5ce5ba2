"""`safe-image explain`: say what an error text means, what mends it, and whether an image is to blame."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from image_verifier.image.model import Platform
from image_verifier.policy import Policy

from ..errors import UsageError
from .output import open_output

if TYPE_CHECKING:
    from ..explanations.explanation import Explanation, Verification

DESCRIPTION: Final = (
    "Explain an error that ECS, Lambda, EKS, App Runner, SageMaker, CloudFormation, CDK, containerd or docker has "
    "shown, as it was shown: broken into lines, escaped, coloured, cut off."
)
EXAMPLES: Final = """\
  safe-image explain "CannotPullContainerError: number of layers and diffIDs don't match: 3 != 15"
  aws ecs describe-tasks --cluster shop --tasks "$TASK" | safe-image explain
  safe-image explain -f deploy.log --image 123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop:1.4
"""

# The module of each.
_FORMATS: Final[Mapping[str, str]] = {"text": "explain.explanation_text", "json": "explain.explanation_json"}
_EXIT: Final = {"no": 0, "yes": 1, "another": 1}
_CANNOT_TELL: Final = 2


def add_arguments(parser: ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("text", nargs="*", metavar="TEXT", help="the error; without it, standard input is read")
    parser.add_argument("-f", "--file", metavar="FILE", help="read the error from this file, - for standard input")
    parser.add_argument("--image", metavar="REFERENCE", help="look whether this image is to blame")
    parser.add_argument("--runs-on", metavar="NAME", help="where it was to run; default: what the error tells")
    parser.add_argument(
        "--platform",
        metavar="OS/ARCH",
        help="default: what the error tells, else linux/amd64, and linux/arm64 for agentcore",
    )
    parser.add_argument("--layers", action="store_true", help="with --image: read every layer's bytes in any case")
    parser.add_argument("--format", choices=_FORMATS, default="text", help="default: text")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the explanation to this file")


def run(arguments: Namespace) -> int:
    """Run the command.

    :param arguments: as `safe-image explain` parses them.
    :returns: the exit code: 0, the text was recognised; 2, it was not. With `--image`, what `check` would say of it: 0,
        it is fine; 1, it is refused; 2, it could not be told.
    :raises UsageError: if an argument is wrong, or there is no text.
    """
    text = _text(arguments)
    from image_verifier.rules.remedies import Names

    from ..explanations.explanation import explain, verified
    from ..explanations.normalize import image_in, platform_in, runtime_in, unwrapped
    from ..sources.targets import TargetResolver

    plain = unwrapped(text)
    image = arguments.image or image_in(plain)
    policy = _policy(arguments.platform or platform_in(plain), arguments.runs_on or runtime_in(plain), arguments.layers)
    target = TargetResolver().target(image, str(policy.platform)) if image else None
    explanation = explain(text, image, policy, target.names if target else Names())
    verification = verified(target, policy, explanation) if target and arguments.image else None
    with open_output(arguments.output) as stream:
        format_ = import_module(f"safe_image.formats.{_FORMATS[arguments.format]}")
        for part in format_.report(explanation, verification, stream):
            stream.write(part)
    return _exit(explanation, verification)


def _text(arguments: Namespace) -> str:
    from ..explanations.normalize import readable

    if arguments.text and arguments.file:
        raise UsageError("write the error itself or -f FILE, and not both")
    if arguments.text:
        text = " ".join(arguments.text)
    elif arguments.file and arguments.file != "-":
        try:
            with Path(arguments.file).open("rb") as file:
                text = readable(_end(file))
        except OSError as e:
            raise UsageError(f"-f {arguments.file}: {e.strerror}: name a file that can be read") from e
    else:
        if sys.stdin.isatty():
            print("safe-image: paste the error, then press Ctrl-D on a line of its own", file=sys.stderr, flush=True)
        text = readable(_end(sys.stdin.buffer))
    if not text.strip():
        raise UsageError("there is no text to explain: write the error, name a file with -f, or pipe it in")
    return text


def _end(file: BinaryIO) -> bytes:
    """The end of a file, which may have any length; a log has its errors there."""
    from ..explanations.normalize import LARGEST

    end = b""
    while chunk := file.read(LARGEST):
        end = (end + chunk)[-LARGEST:]
    return end


def _policy(platform: str, runs_on: str, layers: bool) -> Policy:
    platform = platform or ("linux/arm64" if runs_on == "agentcore" else "linux/amd64")
    try:
        return Policy((runs_on,), Platform.parse(platform), verify_layers=layers)
    except ValueError as e:
        raise UsageError(str(e).replace("runs_on", "--runs-on")) from e


def _exit(explanation: Explanation, verification: Verification | None) -> int:
    if verification is None:
        return 0 if explanation.causes else _CANNOT_TELL
    return _EXIT[verification.culprit] if verification.culprit else _CANNOT_TELL
