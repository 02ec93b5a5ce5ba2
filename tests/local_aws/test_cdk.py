"""The real CDK CLI bootstraps, deploys and shows a failure on the local AWS."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from local_aws import LocalAws
from tests.local_aws.conftest import stack_template

_APP = """
import json, pathlib, aws_cdk as cdk
from aws_cdk import aws_s3_assets as assets, cloudformation_include as include
app = cdk.App()
stack = cdk.Stack(app, "App", env=cdk.Environment(account="000000000000", region="us-east-1"))
include.CfnInclude(stack, "Template", template_file="template.json")
assets.Asset(stack, "Asset", path="template.json")
app.synth()
"""


@pytest.fixture(scope="module")
def bootstrapped(secured: LocalAws) -> LocalAws:
    secured.bootstrap()
    return secured


def _write(folder: Path, properties: dict[str, Any]) -> None:
    (folder / "app.py").write_text(_APP)
    (folder / "cdk.json").write_text(json.dumps({"app": "python app.py"}))
    (folder / "template.json").write_text(stack_template(properties))


def test_an_app_is_deployed_refused_and_destroyed(bootstrapped: LocalAws, tmp_path: Path) -> None:
    aws = bootstrapped
    _write(tmp_path, {})
    deployed = aws.cdk("deploy", "App", "--require-approval=never", cwd=tmp_path)
    assert deployed.returncode == 0, deployed.stdout
    assert "App.Flag = true" in deployed.stdout

    _write(tmp_path, {"Answer": json.dumps({"Status": "FAILED", "Reason": "the reason\nin two lines"})})
    refused = aws.cdk("deploy", "App", "--require-approval=never", cwd=tmp_path)
    assert refused.returncode == 1
    assert "Message returned: the reason" in refused.stdout
    assert aws.client("cloudformation").describe_stacks(StackName="App")["Stacks"][0]["StackStatus"] == (
        "UPDATE_ROLLBACK_COMPLETE"
    )

    destroyed = aws.cdk("destroy", "App", "--force", cwd=tmp_path)
    assert destroyed.returncode == 0, destroyed.stdout
