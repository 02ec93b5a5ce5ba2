"""An image that GitHub Actions pushed (github_actions.yml) and CDK deploys: `cdk deploy -c tag=$GITHUB_SHA`."""

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_ecs_patterns as patterns

from cdk_safe_image import ImageVerification

app = cdk.App()
stack = cdk.Stack(app, "GithubActions")
image = ImageVerification(
    stack,
    "Image",
    repository=ecr.Repository.from_repository_name(stack, "Repository", "shop"),
    tag=app.node.try_get_context("tag") or "main",
    platform=ecr_assets.Platform.LINUX_ARM64,
)
patterns.ApplicationLoadBalancedFargateService(
    stack,
    "Web",
    task_image_options=patterns.ApplicationLoadBalancedTaskImageOptions(
        image=image.container_image(), container_port=8080
    ),
    runtime_platform=ecs.RuntimePlatform(cpu_architecture=ecs.CpuArchitecture.ARM64),
    min_healthy_percent=100,
    circuit_breaker=ecs.DeploymentCircuitBreaker(rollback=True),
)
app.synth()
