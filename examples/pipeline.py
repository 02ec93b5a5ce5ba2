"""CDK Pipelines: the pipeline builds and pushes the images, and each stage verifies them before a service changes."""

from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_ecs as ecs
from aws_cdk import pipelines
from constructs import Construct

from cdk_safe_image import SafeDockerImageAsset


class Shop(cdk.Stage):
    def __init__(self, scope: Construct, id: str, *, env: cdk.Environment) -> None:
        super().__init__(scope, id, env=env)
        stack = cdk.Stack(self, "Shop")
        image = SafeDockerImageAsset(stack, "Image", directory=str(Path(__file__).parent / "service"))
        task = ecs.FargateTaskDefinition(stack, "Task")
        task.add_container("Web", image=image.container_image())


app = cdk.App()
stack = cdk.Stack(app, "Pipeline", env=cdk.Environment(account="123456789012", region="eu-west-1"))
pipeline = pipelines.CodePipeline(
    stack,
    "Pipeline",
    cross_account_keys=True,
    pipeline_type=codepipeline.PipelineType.V2,
    synth=pipelines.ShellStep(
        "Synth",
        input=pipelines.CodePipelineSource.connection(
            "example/shop",
            "main",
            connection_arn="arn:aws:codeconnections:eu-west-1:123456789012:connection/00000000-0000-0000-0000-000000000000",
        ),
        commands=["pip install -r requirements.txt", "npx aws-cdk@2 synth"],
    ),
)
pipeline.add_stage(Shop(app, "Beta", env=cdk.Environment(account="123456789012", region="eu-west-1")))
pipeline.add_stage(Shop(app, "Production", env=cdk.Environment(account="210987654321", region="us-east-1")))
app.synth()
