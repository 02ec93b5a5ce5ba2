"""The CDK app: `cdk deploy`, with this repository's cdk.json."""

from __future__ import annotations

import aws_cdk as cdk

from example_app.stack import ExampleStack

app = cdk.App()
ExampleStack(app, "Example")
app.synth()
