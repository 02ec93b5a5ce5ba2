"""`safe-image audit`: check every tagged image of ECR repositories, and find the bad ones that are in use."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields
from typing import TYPE_CHECKING, Final

from image_verifier import __version__

from ..errors import UsageError
from ..formats import AUDIT_FORMATS
from .arguments import add_policy_options, configuration_of, parse_policy
from .exit_codes import EXIT_CODES, UNKNOWN
from .output import open_output

if TYPE_CHECKING:
    from image_verifier.audit.row import Row


DESCRIPTION: Final = (
    "Check every tagged image of ECR repositories, as check does for one, and find the bad ones that are in use: "
    "a service that scales up or rolls back now would fail on them."
)
EXAMPLES: Final = """\
  safe-image audit shop shop-worker --region eu-west-1
  safe-image audit --registry --in-use --runs-on fargate --format json -o audit.json
  safe-image audit --registry --resume audit.state
  safe-image audit --in-use
  safe-image audit --from s3://registry-reports/Registry-Guard --format html -o sweep.html
"""
# Options that say which images are checked, or how, by their attribute.
_NOT_WITH_SWEEP: Final = {
    "repositories": "the REPOSITORY",
    "registry": "--registry",
    "registry_id": "--registry-id",
    "in_use": "--in-use",
    "resume": "--resume",
    "runs_on": "--runs-on",
    "platform": "--platform",
    "layers": "--layers",
    "min_size": "--min-size",
    "max_size": "--max-size",
    "fail_on": "--fail-on",
    "require": "--require",
    "acknowledge": "--acknowledge",
    "config": "--config",
}


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument(
        "repositories",
        nargs="*",
        metavar="REPOSITORY",
        help="a repository's name, its URI (ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME) or its ARN",
    )
    parser.add_argument("--registry", action="store_true", help="audit every repository of the registry")
    parser.add_argument(
        "--registry-id", metavar="ACCOUNT", help="the registry's account; default: the credentials' account"
    )
    parser.add_argument(
        "--region", help="the region where a REPOSITORY names none; default: the environment's or the profile's region"
    )
    parser.add_argument("--profile", metavar="NAME", help="the profile of the AWS CLI; default: AWS_PROFILE")
    parser.add_argument(
        "--from",
        dest="sweep",
        metavar="PLACE",
        help="show the newest sweep of a RegistryGuard, or the one of an ID: s3://BUCKET/PREFIX, "
        "s3://BUCKET/PREFIX/sweeps/ID, or a folder with the same files; nothing is checked anew",
    )
    parser.add_argument(
        "--in-use",
        action="store_true",
        help="find the images that ECS and Lambda reference, and report those first, each checked for the runtime and "
        "the platform that use it unless --runs-on or --platform is passed; without a REPOSITORY, report only those",
    )
    parser.add_argument(
        "--resume",
        metavar="FILE",
        help="record the checked images in this file; if it exists, continue from it",
    )
    add_policy_options(parser)
    # Without --platform, each image in use is checked for its own.
    parser.set_defaults(platform=None)
    parser.add_argument("--format", choices=AUDIT_FORMATS, default="text", help="default: text")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the report to this file, not to standard output")


def run(arguments: Namespace) -> int:
    """Run the command.

    :param arguments: as `safe-image audit` parses them.
    :returns: the exit code: the highest of the images'.
    :raises UsageError: if an argument is wrong; nothing is requested before that is known.
    :raises Fault: if AWS cannot be called at all.
    """
    if arguments.sweep is not None:
        return _show_sweep(arguments)
    if arguments.registry and arguments.repositories:
        raise UsageError("--registry means every repository: leave out either --registry or the repositories")
    if not (arguments.registry or arguments.repositories or arguments.in_use):
        raise UsageError("nothing to audit: pass a REPOSITORY, --registry, --in-use or --from")
    policy = parse_policy(arguments)

    from image_verifier.audit.repository import list_repositories

    from ..audit.audit_progress import progress
    from ..audit.repositories import parse_repository, whole_registry
    from ..audit.rows import AuditSettings, audit_rows
    from ..audit.state import audit_state
    from ..formats.audit.audit_facts import AuditFacts
    from ..sources.aws_sessions import AwsSessions, Endpoint

    sessions = AwsSessions(arguments.region or "", arguments.profile or "")
    configuration = configuration_of(arguments)
    settings_for = configuration.settings_for
    settings = AuditSettings(
        policy_for=lambda *names: parse_policy(arguments, names=names) if configuration.sections else policy,
        own_runtime=lambda *names: not (arguments.runs_on or settings_for(names).runs_on),
        own_platform=lambda *names: not (arguments.platform or settings_for(names).platform),
        debug=arguments.debug,
    )
    repositories = list(
        dict.fromkeys(parse_repository(text, sessions, arguments.registry_id) for text in arguments.repositories)
    )
    run_settings = {
        "version": __version__,
        **{field.name: str(getattr(policy, field.name)) for field in fields(policy)},
        "sections": str(configuration.sections),
        "in_use": str(arguments.in_use),
        "repositories": " ".join(sorted({repository.uri for repository in repositories}))
        or (whole_registry(sessions, arguments.registry_id).arn if arguments.registry else ""),
    }
    exit_code = 0

    def kept_rows() -> Iterator[Row]:
        nonlocal exit_code
        for row in kept.rows():
            exit_code = max(exit_code, EXIT_CODES[row["verdict"]])
            yield row

    with open_output(arguments.output) as stream, audit_state(arguments.resume, run_settings) as kept:
        with progress(kept.count, quiet=arguments.quiet) as show_progress:
            if arguments.registry:
                registry = whole_registry(sessions, arguments.registry_id)
                repositories = list(list_repositories(sessions.client("ecr", Endpoint(registry.region)), registry))
            for row in audit_rows(sessions, repositories, settings, in_use=arguments.in_use, knows=kept.knows):
                kept.add(row)
                show_progress(row)
        stream.writelines(AUDIT_FORMATS.report(arguments.format)(kept_rows, AuditFacts.of(policy), stream))
    return exit_code


def _show_sweep(arguments: Namespace) -> int:
    """Show the results of a sweep.

    :returns: the exit code: the highest of the images', and 2 if the sweep did not check every image.
    :raises UsageError: if there is no such sweep, or an option says how images are checked.
    :raises Fault: if its files cannot be read.
    """
    passed = [option for name, option in _NOT_WITH_SWEEP.items() if getattr(arguments, name)]
    if passed:
        raise UsageError(f"--from shows images that were checked by the sweep's own settings: leave out {passed[0]}")

    from ..audit.audit_progress import progress
    from ..audit.row_spool import RowSpool
    from ..audit.sweep_files import sweep_files
    from ..formats.audit.audit_facts import AuditFacts
    from ..sources.aws_sessions import AwsSessions

    sweep = sweep_files(arguments.sweep, AwsSessions(arguments.region or "", arguments.profile or ""))
    verdicts = Counter[str]()
    with open_output(arguments.output) as stream, RowSpool() as spool:
        with progress(0, quiet=arguments.quiet) as show_progress:
            for row in sweep.rows():
                verdicts[row["verdict"]] += 1
                spool.add(row)
                show_progress(row)
        head = sweep.head(verdicts)
        stream.writelines(
            AUDIT_FORMATS.report(arguments.format)(spool.rows, AuditFacts(head, sweep=sweep.summary), stream)
        )
    codes = [code for verdict, code in EXIT_CODES.items() if verdicts[verdict]]
    return UNKNOWN if head.incomplete else max(codes, default=0)
