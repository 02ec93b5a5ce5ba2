"""One line verifies every image of an app, also those that `ecs_patterns` and `DockerImageCode` make."""

from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_ecs_patterns as patterns
from aws_cdk import aws_lambda as lambda_

from cdk_safe_image import SafeImages

HERE = Path(__file__).parent

app = cdk.App()
SafeImages.protect(app)

shop = cdk.Stack(app, "Shop")
patterns.ApplicationLoadBalancedFargateService(
    shop,
    "Web",
    task_image_options=patterns.ApplicationLoadBalancedTaskImageOptions(
        image=ecs.ContainerImage.from_asset(str(HERE / "service")), container_port=8080
    ),
    min_healthy_percent=100,
    circuit_breaker=ecs.DeploymentCircuitBreaker(rollback=True),
)
reports = cdk.Stack(app, "Reports")
lambda_.DockerImageFunction(reports, "Report", code=lambda_.DockerImageCode.from_image_asset(str(HERE / "function")))
app.synth()
