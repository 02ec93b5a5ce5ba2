"""The options of `check` for files that name images, for images that are unknown, and for those that are skipped."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from ..errors import UsageError
from ..sources.local_images import DOCUMENTS
from ..sources.targets import Target, TargetResolver


def add_document_options(parser: ArgumentParser) -> None:
    """Add the options.

    :param parser: the parser of a command that checks images.
    """
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="the value of a parameter or a variable of a file, may be repeated; a report names those it needs",
    )
    parser.add_argument(
        "--changed-from",
        metavar="FILE",
        help="the former file, such as the deployed template: only images that are not in it are checked",
    )
    parser.add_argument(
        "--unknown",
        choices=("fail", "warn"),
        default="fail",
        help="exit with 2 for an image whose result is unknown, or only report it; default: fail",
    )
    parser.add_argument(
        "--skip",
        action="append",
        default=[],
        metavar="PATTERN=REASON",
        help="do not check images whose reference matches, such as public.ecr.aws/*, for a reason that the report "
        "shows; may be repeated",
    )


def read_targets(arguments: Namespace, resolver: TargetResolver, platform_of: Callable[[str], str]) -> Sequence[Target]:
    """The targets of a command's references: first those of images, then those of files. No image is read yet.

    :param arguments: the command's arguments.
    :param resolver: resolves references of images.
    :param platform_of: gives the requested platform of a reference, for the commands of remedies.
    :raises UsageError: if a reference, a file or an option is wrong.
    :raises Fault: if an assembly needs an environment, and none is configured.
    """
    files = [text for text in arguments.references if text.startswith(DOCUMENTS)]
    found = [t for text in arguments.references if text not in files for t in resolver.targets(text, platform_of(text))]
    if files:
        # Imported here: most runs read no files, and must start fast.
        from ..documents.document_targets import DocumentOptions, document_targets
        from ..documents.settings import Settings

        options = DocumentOptions(Settings.parse(arguments.set), arguments.changed_from or "")
        found += document_targets(files, resolver, options)
    elif arguments.set or arguments.changed_from:
        option = "--set" if arguments.set else "--changed-from"
        raise UsageError(f"{option} needs a file that names images, such as cloudformation:FILE")
    return _with_skips(found, arguments.skip)


def _with_skips(targets: Iterable[Target], texts: Sequence[str]) -> list[Target]:
    reasons = {}
    for text in texts:
        pattern, equals, reason = text.partition("=")
        if not pattern or not equals or not reason.strip():
            raise UsageError(f"--skip {text!r}: use PATTERN=REASON, a reference with * and the reason not to check it")
        reasons[pattern] = reason.strip()

    def reason_for(target: Target) -> str:
        return next((reason for pattern, reason in reasons.items() if fnmatchcase(target.reference, pattern)), "")

    return [replace(target, skipped=reason_for(target)) for target in targets]
