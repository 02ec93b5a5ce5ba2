"""`safe-image audit`: judge every tagged image of ECR repositories, and say which of the bad ones are in use."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import fields
from typing import TYPE_CHECKING, Final

from image_verifier import __version__
from image_verifier.report import Verdict

from ..errors import UsageError
from ..formats import AUDIT_FORMATS, audit_report
from .arguments import add_policy, policy
from .output import open_output

if TYPE_CHECKING:
    from ..formats.audit.audit_row import Row

DESCRIPTION: Final = (
    "Judge every tagged image of ECR repositories as check judges one, and say which of them would break a service "
    "that scales up or rolls back now."
)
EXAMPLES: Final = """\
  safe-image audit shop shop-worker --region eu-west-1
  safe-image audit --registry --in-use --runs-on fargate --format json -o audit.json
  safe-image audit --registry --resume audit.state
  safe-image audit --in-use
"""
_DEFAULT_PLATFORM: Final = "linux/amd64"
_EXIT: Final[dict[Verdict, int]] = {"pass": 0, "fail": 1, "unknown": 2}


def add_arguments(parser: ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument(
        "repositories",
        nargs="*",
        metavar="REPOSITORY",
        help="a repository's name, its URI (ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME) or its ARN",
    )
    parser.add_argument("--registry", action="store_true", help="every repository of the registry")
    parser.add_argument("--registry-id", metavar="ACCOUNT", help="whose registry; default: that of the credentials")
    parser.add_argument("--region", help="of what names none; default: that of the environment or the profile")
    parser.add_argument(
        "--in-use",
        action="store_true",
        help="ask ECS and Lambda which images they refer to, and tell those first, each judged for where it is used "
        "unless --runs-on or --platform says otherwise; without a repository, tell only those",
    )
    parser.add_argument(
        "--resume",
        metavar="FILE",
        help="keep in this file what was judged; if it is there, go on from it",
    )
    add_policy(parser)
    # Told apart from one that was asked for.
    parser.set_defaults(platform=None)
    parser.add_argument("--format", choices=AUDIT_FORMATS, default="text", help="default: text")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the report to this file")


def run(arguments: Namespace) -> int:
    """Run the command.

    :param arguments: as `safe-image audit` parses them.
    :returns: the exit code: the highest of the images'.
    :raises UsageError: before anything is asked, if one argument is wrong.
    :raises Fault: if nothing can be asked.
    """
    if arguments.registry and arguments.repositories:
        raise UsageError("--registry means every repository: leave out the names, or leave out --registry")
    if not (arguments.registry or arguments.repositories or arguments.in_use):
        raise UsageError("nothing to audit: name a repository, or write --registry or --in-use")
    own_platform = arguments.platform is None
    arguments.platform = arguments.platform or _DEFAULT_PLATFORM
    asked_policy = policy(arguments)

    from ..audit.audit_progress import progress
    from ..audit.repositories import list_repositories, parse_repository, whole_registry
    from ..audit.rows import AuditSettings, audit_rows
    from ..audit.state import audit_state
    from ..sources.aws_sessions import AwsSessions

    sessions = AwsSessions(arguments.region or "")
    asked = AuditSettings(asked_policy, not arguments.runs_on, own_platform, arguments.debug)
    repositories = list(
        dict.fromkeys(parse_repository(text, sessions, arguments.registry_id) for text in arguments.repositories)
    )
    question = {
        "version": __version__,
        **{field.name: str(getattr(asked_policy, field.name)) for field in fields(asked_policy)},
        "in_use": str(arguments.in_use),
        "repositories": " ".join(sorted({repository.uri for repository in repositories}))
        or (whole_registry(sessions, arguments.registry_id).arn if arguments.registry else ""),
    }
    worst = 0

    def tallied() -> Iterator[Row]:
        nonlocal worst
        for row in kept.rows():
            worst = max(worst, _EXIT[row["verdict"]])
            yield row

    with open_output(arguments.output) as stream, audit_state(arguments.resume, question) as kept:
        with progress(kept.count) as tell:
            if arguments.registry:
                repositories = list(list_repositories(whole_registry(sessions, arguments.registry_id), sessions))
            for row in audit_rows(sessions, repositories, asked, in_use=arguments.in_use, knows=kept.knows):
                kept.add(row)
                tell(row)
        stream.writelines(audit_report(arguments.format)(tallied, stream))
    return worst
