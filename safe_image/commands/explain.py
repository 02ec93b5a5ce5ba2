"""`safe-image explain`: explain an error, a finding, or what failed in AWS: the cause, the proof, the cure."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from image_verifier.image.model import Platform
from image_verifier.policy import Policy
from image_verifier.rules.catalog import CATALOG

from ..errors import UsageError
from ..formats import EXPLANATION_FORMATS, INCIDENT_FORMATS
from .arguments import add_configuration_options, configuration_of
from .output import open_output

if TYPE_CHECKING:
    from ..explanations.explanation import Explanation, Verification
    from ..incident.incident import Incident
    from ..sources.targets import TargetResolver

DESCRIPTION: Final = (
    "Explain an error as ECS, Lambda, EKS, CloudFormation, the CDK or docker showed it; or a service, task, function "
    "or stack, whose errors and images are then read from AWS: what happened, who is to blame, and how to fix it."
)
EXAMPLES: Final = """\
  safe-image explain "CannotPullContainerError: number of layers and diffIDs don't match: 3 != 15"
  aws ecs describe-tasks --cluster shop --tasks "$TASK" | safe-image explain
  safe-image explain --service shop/web
  safe-image explain -f deploy.log --image 123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop:1.4
"""

_EXIT: Final = {"no": 0, "yes": 1, "another": 1}
_UNKNOWN: Final = 2
# The subjects that are read from AWS, by their option.
_SUBJECTS: Final = ("service", "task", "function", "stack")
# The arguments that AWS answers by itself.
_OF_A_TEXT: Final = ("text", "file", "image", "runs_on", "platform", "layers")


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "text", nargs="*", metavar="TEXT", help="the error, or the id of a finding; without it, standard input is read"
    )
    parser.add_argument("-f", "--file", metavar="FILE", help="read the error from this file, - for standard input")
    parser.add_argument("--image", metavar="REFERENCE", help="check whether this image is to blame")
    parser.add_argument("--runs-on", metavar="NAME", help="where it runs; default: what the error shows")
    parser.add_argument(
        "--platform",
        metavar="OS/ARCH",
        help="default: what the error shows, else linux/amd64, and linux/arm64 for agentcore",
    )
    parser.add_argument("--layers", action="store_true", help="with --image: read every layer's bytes in any case")
    parser.add_argument("--service", metavar="CLUSTER/SERVICE", help="explain why this ECS service fails")
    parser.add_argument("--task", metavar="ARN", help="explain why this ECS task stopped")
    parser.add_argument("--function", metavar="NAME", help="explain why this Lambda function fails")
    parser.add_argument("--stack", metavar="NAME", help="explain why this stack's last deploy failed")
    parser.add_argument("--region", help="with these four: the region; default: the environment's or the profile's")
    add_configuration_options(parser)
    parser.add_argument("--format", choices=EXPLANATION_FORMATS, default="text", help="default: text")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the explanation to this file")


def run(arguments: Namespace) -> int:
    """Run the command.

    :param arguments: as `safe-image explain` parses them.
    :returns: the exit code. For a text: 0, it was recognised; 2, it was not. Where an image was checked: 0, it is fine;
        1, it is refused; 2, the result is unknown. For a subject in AWS that does not fail: 0.
    :raises UsageError: if an argument is wrong, or there is no text.
    :raises Fault: if what was to be read from AWS could not be read.
    """
    chosen = [name for name in _SUBJECTS if getattr(arguments, name) is not None]
    if not chosen:
        return _explain_text(arguments)
    if not getattr(arguments, chosen[0]).strip():
        raise UsageError(f"--{chosen[0]} is empty: pass a name or an ARN")
    others = [name for name in _OF_A_TEXT if getattr(arguments, name)]
    if len(chosen) > 1 or others:
        second = chosen[1] if len(chosen) > 1 else others[0].replace("_", "-")
        raise UsageError(
            f"--{chosen[0]} reads everything from AWS: leave out {'TEXT' if second == 'text' else f'--{second}'}"
        )
    return _explain_incident(arguments, chosen[0])


def _explain_text(arguments: Namespace) -> int:
    text = _text(arguments)
    from image_verifier.rules.names import Names

    from ..explanations.explanation import explain, settle, verified
    from ..explanations.normalize import image_in, platform_in, runtime_in, unwrapped
    from ..sources.targets import TargetResolver

    plain = unwrapped(text)
    image = image_in(plain) if arguments.image is None else arguments.image
    settings = configuration_of(arguments).settings_for([image] if image else [])
    policy = _policy(
        arguments.platform or platform_in(plain) or settings.platform,
        arguments.runs_on or runtime_in(plain, next(iter(settings.runs_on), "fargate")),
        arguments.layers or bool(settings.layers),
    )
    target = TargetResolver().target(image, str(policy.platform)) if image or arguments.image is not None else None
    explanation = explain(text, image, policy, target.names if target else Names())
    verification = verified(target, policy, explanation) if target and arguments.image else None
    explanation = settle(explanation, verification)
    with open_output(arguments.output) as stream:
        for part in EXPLANATION_FORMATS.report(arguments.format)(explanation, verification, stream):
            stream.write(part)
    return _exit(explanation, verification)


def _explain_incident(arguments: Namespace, subject: str) -> int:
    from ..incident.explained_failure import explain_failures
    from ..sources.targets import TargetResolver

    configuration = configuration_of(arguments)
    resolver = TargetResolver()
    incident = _incident(resolver, subject, getattr(arguments, subject), arguments.region or "")
    diagnoses = explain_failures(
        incident, resolver, lambda reference: bool(configuration.settings_for([reference]).layers)
    )
    with open_output(arguments.output) as stream:
        for part in INCIDENT_FORMATS.report(arguments.format)(incident, diagnoses, stream):
            stream.write(part)
    return max((_exit(one.explanation, one.verification) for one in diagnoses), default=0)


def _incident(resolver: TargetResolver, subject: str, name: str, region: str) -> Incident:
    """Read the incident of a service, a task, a function or a stack."""
    from ..incident.aws_reader import AwsReader
    from ..incident.ecs_service import service_incident
    from ..incident.ecs_tasks import task_incident
    from ..incident.lambda_function import function_incident
    from ..incident.stack import stack_incident

    # An ARN contains its region.
    reader = AwsReader(resolver.sessions, region or (name.split(":")[3] if name.startswith("arn:") else ""))
    if subject == "service":
        cluster, _, service = name.partition(":service/")[2 if name.startswith("arn:") else 0].partition("/")
        if not cluster or not service:
            raise UsageError(f"--service {name}: use CLUSTER/SERVICE, such as shop/web, or the service's ARN")
        return service_incident(reader, cluster, service)
    if subject == "task":
        if ":task/" not in name:
            raise UsageError(f"--task {name}: use the task's ARN, arn:aws:ecs:REGION:ACCOUNT:task/CLUSTER/ID")
        return task_incident(reader, name)
    return function_incident(reader, name) if subject == "function" else stack_incident(reader, name)


def _text(arguments: Namespace) -> str:
    from ..explanations.normalize import readable

    if arguments.text and arguments.file:
        raise UsageError("pass the error itself or -f FILE, not both")
    if arguments.text:
        text = " ".join(arguments.text)
        _refuse_mistyped_id(text)
    elif arguments.file and arguments.file != "-":
        try:
            with Path(arguments.file).open("rb") as file:
                text = readable(_end(file))
        except OSError as e:
            raise UsageError(f"-f {arguments.file}: {e.strerror}: use a file that you can read") from e
    else:
        if sys.stdin.isatty():
            print("safe-image: paste the error, then press Ctrl-D on a line of its own", file=sys.stderr, flush=True)
        text = readable(_end(sys.stdin.buffer))
    if not text.strip():
        raise UsageError("there is no text to explain: pass the error, pass its file with -f, or pipe it in")
    return text


def _refuse_mistyped_id(text: str) -> None:
    """Refuse a single word that is nearly the id of a finding, and not the text of an error."""
    from difflib import get_close_matches

    near = get_close_matches(text, CATALOG, n=1, cutoff=0.8)
    if near and text not in CATALOG:
        raise UsageError(f"{text!r} is not a finding's id: use {near[0]}")


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
        return 0 if explanation.causes else _UNKNOWN
    return _EXIT[verification.culprit] if verification.culprit else _UNKNOWN
