"""The cost of the Lambda's handler on the local AWS: cold, warm, memory, calls, and the size of its zip.

The baseline is a bare boto3 client, made in the same way in the same run: every verifier that calls ECR needs one.
"""

from __future__ import annotations

import io
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from local_aws import ACCOUNT, REGION, LocalAws
from tests.pushing import push
from tests.unit.images import GZIP, Layout

RUNS = 5
REPOSITORY = "benchmark"


def main() -> None:
    """Print the table."""
    from cdk_safe_image.staging import write_zip  # not in the processes that are measured

    answers, url = _receive_responses()
    with LocalAws.start() as aws, tempfile.TemporaryDirectory() as folder:
        code = Path(folder) / "lambda"
        shutil.unpack_archive(write_zip(Path(folder) / "lambda.zip", "custom_resource"), code)
        aws.client("ecr").create_repository(repositoryName=REPOSITORY)
        environment = {**aws.env(), "PYTHONPATH": str(code)}
        bare, cold, warm = [], [], []
        for run in range(RUNS):
            bare.append(_run(environment, "bare", {}))
            for layers in (1, 100):
                if run == 0:
                    layout = Layout(Path(folder) / str(layers))
                    layout.path.mkdir()
                    layout.source(layout.image(layer_types=(GZIP,) * layers))
                    push(aws, layout.path, REPOSITORY, str(layers))
            measured = _run(environment, "handler", _event(url, "100"))
            cold.append(measured)
            warm.append(measured["second"])
        calls = {}
        for layers in (1, 100):
            aws.reset_calls()
            _run(environment, "once", _event(url, str(layers)))
            calls[layers] = Counter(c["name"] for c in aws.calls() if c["name"].startswith(("ecr:", "layer:")))
        refused = [answer for answer in answers if answer["Status"] != "SUCCESS"]
        assert not refused, refused[0]
        size = _zip_size(code)
    cores = os.cpu_count()
    print(f"The handler on the local AWS, image of 100 layers, median of {RUNS} runs side by side, {cores} cores")
    print(f"  bare boto3 client, new process   {_median(bare, 'seconds'):6.0f} ms   {_median(bare, 'mib'):4.0f} MiB")
    print(f"  handler, new process (cold)      {_median(cold, 'seconds'):6.0f} ms   {_median(cold, 'mib'):4.0f} MiB")
    print(f"  handler again (warm)             {statistics.median(warm) * 1000:6.0f} ms")
    for layers, counted in calls.items():
        listed = ", ".join(f"{name} {count}" for name, count in sorted(counted.items()))
        print(f"  requests for {layers:3} layers: {sum(counted.values())} ({listed})")
    print(f"  the Lambda's zip: {size} bytes")


def _median(rows: list[dict[str, Any]], key: str) -> float:
    value = statistics.median(row[key] for row in rows)
    return value * 1000 if key == "seconds" else value


def _event(url: str, tag: str) -> dict[str, Any]:
    name = f"repository/{REPOSITORY}"
    return {
        "RequestType": "Create",
        "ResponseURL": url,
        "StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/Bench/0",
        "RequestId": "0",
        "LogicalResourceId": "Bench",
        "ResourceProperties": {
            "RepositoryArn": f"arn:aws:ecr:{REGION}:{ACCOUNT}:{name}",
            "RepositoryUri": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{REPOSITORY}",
            "ImageTag": tag,
            "RunsOn": ["fargate"],
            "Platform": "linux/amd64",
        },
    }


def _run(environment: dict[str, str], what: str, event: dict[str, Any]) -> dict[str, Any]:
    command = [sys.executable, __file__, what]
    done = subprocess.run(
        command, env=environment, input=json.dumps(event), capture_output=True, text=True, check=True, cwd="/"
    )
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def _measure(what: str) -> None:
    """Measure in a separate process: the time to the response, imports included, and the peak memory."""

    class Context:
        log_group_name = log_stream_name = "-"

        def get_remaining_time_in_millis(self) -> int:
            return 60_000

    event = json.load(sys.stdin)
    began, second = time.perf_counter(), 0.0
    if what == "bare":
        import boto3

        boto3.client("ecr", region_name=REGION)
    else:
        from image_verifier.entrypoints.custom_resource import handler

        handler(event, Context())
    seconds = time.perf_counter() - began
    if what == "handler":
        began = time.perf_counter()
        handler(event, Context())
        second = time.perf_counter() - began
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "second": second, "mib": mib}))


def _receive_responses() -> tuple[list[Any], str]:
    answers: list[Any] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            answers.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return answers, f"http://127.0.0.1:{server.server_port}/answer"


def _zip_size(code: Path) -> int:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(code.rglob("*.py")):
            archive.write(file, file.relative_to(code))
    return len(buffer.getvalue())


if __name__ == "__main__":
    if len(sys.argv) > 1:
        _measure(sys.argv[1])
    else:
        main()
