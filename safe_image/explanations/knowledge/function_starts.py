"""Failures at the start of a Lambda function, and in its calls."""

from __future__ import annotations

from typing import Final

from ..cause import Cause, Words, near
from ..contexts import LAMBDA

_TROUBLE: Final = "https://docs.aws.amazon.com/lambda/latest/dg/troubleshooting-images.html"
_CHECK: Final = ("Check the image for Lambda:", "$ safe-image check {image} --runs-on lambda --platform {platform}")
_CHECK_LAYERS: Final = (
    "Check the image for Lambda, its layers too:",
    "$ safe-image check {image} --runs-on lambda --platform {platform} --layers",
)

CAUSES: Final = (
    Cause(
        "lambda-file-unreadable",
        "Lambda's own user cannot read a file of the image: its mode (chmod) allows only its owner.",
        "Lambda ignores USER and runs each image as a user of its own, who is not root. Files need mode 644 and "
        "directories 755; a restrictive umask on the build machine takes that away.",
        "start",
        ("image",),
        words=(
            "[Errno 13] Permission denied: '/var/task",
            "[Errno 13] Permission denied: '/var/lang",
            "[Errno 13] Permission denied: '/opt",
            *near(LAMBDA, "[Errno 13] Permission denied", "EACCES: permission denied, open '/var/task", "Errno 13"),
            *near(r"/var/task|lambda-entrypoint", "permission denied", "EACCES: permission denied"),
            *near(LAMBDA + "|fork/exec", "fork/exec {program}: permission denied"),
        ),
        confirm=_CHECK_LAYERS,
        remedy=(
            "Copy with modes that everybody may read, and push under a new tag: COPY --chmod=755 in the Dockerfile.",
        ),
        prevention=("Set umask 022 on the build machine.",),
        sources=(
            "https://docs.aws.amazon.com/lambda/latest/dg/images-create.html",
            "https://simonko.dev/posts/aws/non-root-lambda-image",
        ),
        findings=("entrypoint-closed", "code-unreadable", "working-dir-closed", "entrypoint-not-executable"),
    ),
    Cause(
        "lambda-bootstrap-missing",
        "There is no bootstrap program where Lambda looks for it.",
        "A base image for provided runtimes starts /var/runtime/bootstrap, /var/task/bootstrap or /opt/bootstrap. The "
        "Dockerfile copied the program elsewhere or under another name, or it is not executable.",
        "start",
        ("image",),
        words=(
            "Couldn't find valid bootstrap",
            "could not find valid bootstrap",
            "Runtime.InvalidEntrypoint{it}bootstrap",
        ),
        confirm=_CHECK_LAYERS,
        remedy=(
            "Copy the program as /var/runtime/bootstrap with mode 755, or name it in ENTRYPOINT; push under a new tag.",
        ),
        sources=("https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html", _TROUBLE),
        findings=("entrypoint-missing", "entrypoint-not-executable"),
    ),
    Cause(
        "lambda-working-dir",
        "The function's working directory is invalid: WORKDIR must be an absolute path that exists.",
        "The image's WORKDIR, or the working directory in the function's image configuration, is empty, relative or "
        "not there.",
        "start",
        ("image", "task definition"),
        words=("Runtime.InvalidWorkingDir", "the working directory {it} is invalid", "InvalidWorkingDir"),
        confirm=_CHECK,
        remedy=("Set WORKDIR to an absolute path, such as /var/task, or remove it from the image configuration.",),
        sources=(_TROUBLE,),
        findings=("working-dir-relative", "working-dir-invalid"),
    ),
    Cause(
        "lambda-handler-unnamed",
        "The image's CMD does not name the handler, which Lambda's entrypoint needs as its first argument.",
        "The base images of Lambda start /lambda-entrypoint.sh, which takes the handler's name from CMD. The "
        "Dockerfile has no CMD, or the function's ImageConfig replaced it.",
        "start",
        ("image", "task definition"),
        words=("entrypoint requires the handler name",),
        confirm=("Read CMD of the image:", "$ docker image inspect --format '{{json .Config.Cmd}}' {image}"),
        remedy=('Name the handler in the Dockerfile, such as CMD ["app.handler"], and push under a new tag.',),
        prevention=("Set cmd= of the function's image in one place: the Dockerfile or the function.",),
        sources=("https://docs.aws.amazon.com/lambda/latest/dg/images-create.html",),
    ),
    Cause(
        "lambda-wrong-architecture",
        "The program is built for another architecture (platform) than the function's: exec format error.",
        "An image or a binary built on an Apple silicon Mac is arm64, while a function is x86_64 by default. A script "
        "without #! as its first line gives the same error.",
        "start",
        ("image", "task definition"),
        words=(
            "fork/exec {program}: exec format error",
            "Runtime.InvalidEntrypoint{it}exec format error",
            "fork/exec {program}: exec format error{it}Runtime.InvalidEntrypoint",
            *near(r"entrypoint:\[|imagelauncherror", "exec format error"),
        ),
        confirm=_CHECK_LAYERS,
        remedy=(
            "Build for the function's architecture, or set architecture= of the function to the image's:",
            "$ docker buildx build . -t REPOSITORY:TAG --push --platform {platform} --provenance=false --sbom=false",
        ),
        prevention=("Set platform= of the asset and architecture= of the function together.",),
        sources=(_TROUBLE, "https://docs.aws.amazon.com/lambda/latest/dg/foundation-arch.html"),
        findings=("platform-mismatch", "entrypoint-wrong-machine", "entrypoint-format-invalid"),
    ),
    Cause(
        "lambda-entrypoint",
        "Lambda cannot execute the image's entrypoint: another architecture, a missing file or one that is not "
        "executable.",
        "An image built on an Apple silicon Mac is arm64, while the function is x86_64 by default. A wrong path, a "
        "missing chmod +x or Windows line ends (CRLF) in a script give the same error.",
        "start",
        ("image", "task definition"),
        words=(
            "Runtime.InvalidEntrypoint",
            "FunctionError.InvalidEntryPoint",
            "runtime entrypoint path isn't valid",
            *near(LAMBDA, "fork/exec {program}: no such file or directory"),
            Words("ProcessSpawnFailed", LAMBDA),
        ),
        confirm=_CHECK_LAYERS,
        remedy=(
            "Build for the function's architecture, or set architecture= of the function to the image's:",
            "$ docker buildx build . -t REPOSITORY:TAG --push --platform {platform} --provenance=false --sbom=false",
        ),
        prevention=("Set platform= of the asset and architecture= of the function together.",),
        sources=(_TROUBLE, "https://github.com/aws/aws-lambda-rust-runtime/issues/391"),
        findings=(
            "platform-mismatch",
            "entrypoint-missing",
            "entrypoint-not-executable",
            "entrypoint-format-invalid",
            "entrypoint-wrong-machine",
            "interpreter-missing",
        ),
    ),
    Cause(
        "lambda-exit-126",
        "The function's entrypoint was found but not executed (exit status 126): it is not executable, or for another "
        "architecture.",
        "126 is a shell's answer for a file that it may not or cannot execute.",
        "start",
        ("image",),
        words=(
            "Runtime exited with error: exit status 126",
            *near(LAMBDA, "exit status 126", "exit code 126"),
        ),
        confirm=_CHECK_LAYERS,
        remedy=("Set mode 755 (COPY --chmod=755), build for the function's architecture, and push under a new tag.",),
        sources=(_TROUBLE,),
        findings=("entrypoint-not-executable", "platform-mismatch", "entrypoint-wrong-machine"),
    ),
    Cause(
        "lambda-exit-127",
        "The function's entrypoint started a program that is not in the image (exit status 127: not found).",
        "127 is a shell's answer for a command that does not exist: a wrong path, a missing interpreter, or Windows "
        "line ends (CRLF) in the script.",
        "start",
        ("image",),
        words=(
            "Runtime exited with error: exit status 127",
            *near(LAMBDA, "exit status 127", "exit code 127"),
        ),
        confirm=_CHECK_LAYERS,
        remedy=("Add the program to the image or correct the path, and push under a new tag.",),
        sources=(_TROUBLE,),
        findings=("entrypoint-missing", "interpreter-missing"),
    ),
    Cause(
        "lambda-runtime-exited",
        "The function's program ended by itself before it answered (Runtime.ExitError): the program is to blame, not "
        "the image.",
        "The process that polls Lambda's runtime API exited: a crash at import, a wrong handler in CMD, or an image "
        "without a runtime interface client. Exit status 126 or 127 are a file that cannot be executed or found.",
        "run",
        ("application", "image"),
        words=(
            "Runtime.ExitError",
            "Runtime exited with error: exit status",
            "Runtime exited without providing a reason",
            Words("Runtime.ImportModuleError"),
            "Runtime.HandlerNotFound",
            "Runtime.UserCodeSyntaxError",
            "Extension.Crash",
            "Extension.LaunchError",
            "Unable to import module",
        ),
        confirm=("Read the function's log around the failed call:", "$ aws logs tail /aws/lambda/NAME --since 1h"),
        remedy=(
            "Fix the program, or the handler in CMD. Build on a Lambda base image, or add the runtime interface "
            "client.",
        ),
        sources=("https://docs.aws.amazon.com/lambda/latest/dg/troubleshooting-invocation.html", _TROUBLE),
        findings=("entrypoint-missing", "entrypoint-not-executable"),
    ),
    Cause(
        "lambda-timeout",
        "The function ran longer than its timeout, or its start took longer than ten seconds.",
        "The image was pulled and started. The program, its imports or a connection took too long.",
        "run",
        ("application",),
        words=(
            "Task timed out after",
            *near(LAMBDA, "Sandbox.Timedout"),
            "INIT_REPORT Init Duration{it}Status: timeout",
        ),
        remedy=("Raise the timeout or the memory, and look at what the program waits for.",),
        sources=("https://docs.aws.amazon.com/lambda/latest/dg/troubleshooting-invocation.html",),
    ),
)
