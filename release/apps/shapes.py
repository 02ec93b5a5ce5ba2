"""The apps: shapes that public repositories have, each as small as it can be and still have the shape.

Each function adds its stacks to an app. It makes its images by `Images`, and must not know whether they are verified.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from aws_cdk import App, CustomResource, Duration, Environment, NestedStack, Size, Stack, Stage, Tags, pipelines
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_applicationautoscaling as application
from aws_cdk import aws_apprunner as apprunner
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_batch as batch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_ecs_patterns as patterns
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as event_sources
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as stepfunctions
from aws_cdk import aws_stepfunctions_tasks as tasks
from aws_cdk import custom_resources as custom
from constructs import Construct

from .images import ARM64, Images

_ENVIRONMENT: Final = Environment(account="111122223333", region="eu-west-1")


def _vpc(scope: Construct) -> ec2.IVpc:
    return ec2.Vpc.from_vpc_attributes(
        scope, "Vpc", vpc_id="vpc-1", availability_zones=["eu-west-1a"], private_subnet_ids=["subnet-1"]
    )


def _cluster(scope: Construct) -> ecs.Cluster:
    return ecs.Cluster(scope, "Cluster", vpc=_vpc(scope))


def _service(scope: Construct, name: str, cluster: ecs.ICluster, image: ecs.ContainerImage) -> ecs.FargateService:
    task = ecs.FargateTaskDefinition(scope, f"{name}Task")
    task.add_container("app", image=image)
    return ecs.FargateService(scope, f"{name}Service", cluster=cluster, task_definition=task)


def web_service(app: App, images: Images) -> None:
    """A service behind a load balancer, by CDK's pattern."""
    stack = Stack(app, "Web")
    options = patterns.ApplicationLoadBalancedTaskImageOptions(image=images.container(stack, "web"))
    patterns.ApplicationLoadBalancedFargateService(stack, "Web", vpc=ec2.Vpc(stack, "Vpc"), task_image_options=options)


def queue_worker(app: App, images: Images) -> None:
    """A worker that scales with a queue, and a scheduled task beside it."""
    stack = Stack(app, "Worker")
    cluster = _cluster(stack)
    patterns.QueueProcessingFargateService(stack, "Worker", cluster=cluster, image=images.container(stack, "worker"))
    options = patterns.ScheduledFargateTaskImageOptions(image=images.container(stack, "cleanup"))
    patterns.ScheduledFargateTask(
        stack,
        "Cleanup",
        cluster=cluster,
        schedule=application.Schedule.rate(Duration.hours(1)),
        scheduled_fargate_task_image_options=options,
    )


def functions(app: App, images: Images) -> None:
    """Functions behind an API and a queue, one with versions and an alias."""
    stack = Stack(app, "Functions")
    api = lambda_.DockerImageFunction(stack, "Api", code=images.code(stack, "api"))
    apigateway.LambdaRestApi(stack, "RestApi", handler=api)
    lambda_.Alias(stack, "Live", alias_name="live", version=api.current_version)
    worker = lambda_.DockerImageFunction(stack, "Consumer", code=images.code(stack, "consumer"))
    worker.add_event_source(event_sources.SqsEventSource(sqs.Queue(stack, "Queue")))


def microservices(app: App, images: Images) -> None:
    """Six services of one construct in one stack, each with a sidecar of one image that all share."""

    class Microservice(Construct):
        def __init__(self, scope: Construct, name: str, cluster: ecs.Cluster, sidecar: ecs.ContainerImage) -> None:
            super().__init__(scope, name)
            service = _service(self, "", cluster, images.container(self, name.lower()))
            service.task_definition.add_container("proxy", image=sidecar)

    stack = Stack(app, "Shop")
    cluster = _cluster(stack)
    sidecar = ecs.ContainerImage.from_docker_image_asset(images.asset(stack, "proxy"))
    for name in ("Cart", "Catalog", "Orders", "Payment", "Search", "Users"):
        Microservice(stack, name, cluster, sidecar)


def stages(app: App, images: Images) -> None:
    """Network, data and service stacks in a stage for tests and in one for production."""
    for name in ("Beta", "Production"):
        stage = Stage(app, name, env=_ENVIRONMENT)
        vpc = ec2.Vpc(Stack(stage, "Network"), "Vpc", max_azs=2)
        bucket = s3.Bucket(Stack(stage, "Data"), "Bucket")
        stack = Stack(stage, "Service")
        cluster = ecs.Cluster(stack, "Cluster", vpc=vpc)
        service = _service(stack, "Web", cluster, images.container(stack, "web"))
        bucket.grant_read_write(service.task_definition.task_role)


def nested_stacks(app: App, images: Images) -> None:
    """Services in nested stacks of two levels, one with its own image and one with an image of the parent."""
    stack = Stack(app, "Parent")
    cluster = _cluster(stack)
    shared = ecs.ContainerImage.from_docker_image_asset(images.asset(stack, "shared"))
    inner = NestedStack(stack, "Inner")
    _service(inner, "Own", cluster, images.container(inner, "own"))
    _service(NestedStack(inner, "Innermost"), "Shared", cluster, shared)


def images_stack(app: App, images: Images) -> None:
    """All images in one stack, and the services in others."""
    home = Stack(app, "Images")
    built = {name: images.asset(home, name) for name in ("web", "admin")}
    for name, asset in built.items():
        stack = Stack(app, name.title())
        _service(stack, "Web", _cluster(stack), ecs.ContainerImage.from_docker_image_asset(asset))


def pipeline(app: App, images: Images) -> None:
    """A pipeline of CDK Pipelines that deploys a stage."""
    source = pipelines.CodePipelineSource.connection("owner/name", "main", connection_arn="arn:aws:codestar:connection")
    synth = pipelines.ShellStep("Synth", input=source, commands=["npx cdk synth"])
    delivery = pipelines.CodePipeline(Stack(app, "Pipeline", env=_ENVIRONMENT), "Pipeline", synth=synth)
    stage = Stage(app, "Deployed", env=_ENVIRONMENT)
    stack = Stack(stage, "Service")
    _service(stack, "Web", _cluster(stack), images.container(stack, "web"))
    delivery.add_stage(stage)


def batch_jobs(app: App, images: Images) -> None:
    """Jobs of AWS Batch on Fargate, started by a schedule."""
    stack = Stack(app, "Jobs")
    environment = batch.FargateComputeEnvironment(stack, "Environment", vpc=_vpc(stack))
    queue = batch.JobQueue(stack, "Queue")
    queue.add_compute_environment(environment, 1)
    for name in ("import", "export"):
        container = batch.EcsFargateContainerDefinition(
            stack,
            f"{name.title()}Container",
            image=images.container(stack, name, "batch"),
            cpu=1,
            memory=Size.gibibytes(2),
        )
        job = batch.EcsJobDefinition(stack, f"{name.title()}Job", container=container)
        rule = events.Rule(stack, f"{name.title()}Rule", schedule=events.Schedule.rate(Duration.days(1)))
        rule.add_target(targets.BatchJob(queue.job_queue_arn, queue, job.job_definition_arn, job))


def graviton(app: App, images: Images) -> None:
    """A service on Graviton instances of a capacity provider."""
    stack = Stack(app, "Graviton")
    vpc = ec2.Vpc(stack, "Vpc")
    cluster = ecs.Cluster(stack, "Cluster", vpc=vpc)
    group = autoscaling.AutoScalingGroup(
        stack,
        "Group",
        vpc=vpc,
        instance_type=ec2.InstanceType("m7g.large"),
        machine_image=ecs.EcsOptimizedImage.amazon_linux2023(ecs.AmiHardwareType.ARM),
    )
    provider = ecs.AsgCapacityProvider(stack, "Provider", auto_scaling_group=group)
    cluster.add_asg_capacity_provider(provider)
    task = ecs.Ec2TaskDefinition(stack, "Task")
    task.add_container("app", memory_limit_mib=512, image=images.container(stack, "web", "ecs-ec2", platform=ARM64))
    ecs.Ec2Service(stack, "Service", cluster=cluster, task_definition=task)


def state_machine(app: App, images: Images) -> None:
    """A state machine that runs a function and then a task."""
    stack = Stack(app, "Machine")
    function = lambda_.DockerImageFunction(stack, "Prepare", code=images.code(stack, "prepare"))
    task = ecs.FargateTaskDefinition(stack, "Task")
    container = task.add_container("app", image=images.container(stack, "work"))
    run = tasks.EcsRunTask(
        stack,
        "Work",
        integration_pattern=stepfunctions.IntegrationPattern.RUN_JOB,
        cluster=_cluster(stack),
        task_definition=task,
        launch_target=tasks.EcsFargateLaunchTarget(platform_version=ecs.FargatePlatformVersion.LATEST),
        container_overrides=[tasks.ContainerOverride(container_definition=container, command=["work"])],
    )
    first = tasks.LambdaInvoke(stack, "Prepared", lambda_function=function)
    body = stepfunctions.DefinitionBody.from_chainable(first.next(run))
    stepfunctions.StateMachine(stack, "StateMachine", definition_body=body)


def app_runner(app: App, images: Images) -> None:
    """A service of App Runner, by the resource of CloudFormation."""
    stack = Stack(app, "Runner")
    image = images.asset(stack, "web", "app-runner")
    apprunner.CfnService(
        stack,
        "Service",
        source_configuration=apprunner.CfnService.SourceConfigurationProperty(
            image_repository=apprunner.CfnService.ImageRepositoryProperty(
                image_identifier=image.image_uri, image_repository_type="ECR"
            )
        ),
    )


def tagged(app: App, images: Images) -> None:
    """An app with tags on everything and an environment variable that names the image."""
    stack = Stack(app, "Tagged", env=_ENVIRONMENT)
    Tags.of(app).add("team", "shop")
    asset = images.asset(stack, "web")
    task = ecs.FargateTaskDefinition(stack, "Task")
    image = ecs.ContainerImage.from_docker_image_asset(asset)
    task.add_container("app", image=image, environment={"IMAGE": asset.image_uri})
    ecs.FargateService(stack, "Service", cluster=_cluster(stack), task_definition=task)


def migration_first(app: App, images: Images) -> None:
    """A service that waits for the migration of a database, which another image runs as a custom resource."""
    stack = Stack(app, "Migrated")
    function = lambda_.DockerImageFunction(stack, "Migrate", code=images.code(stack, "migrate"))
    provider = custom.Provider(stack, "Provider", on_event_handler=function)
    migration = CustomResource(stack, "Migration", service_token=provider.service_token)
    service = _service(stack, "Web", _cluster(stack), images.container(stack, "web"))
    service.node.add_dependency(migration)


def two_regions(app: App, images: Images) -> None:
    """The same service in two regions, and a stack that another one follows."""
    for region in ("eu-west-1", "us-east-1"):
        base = Stack(app, f"Base-{region}", env=Environment(account="111122223333", region=region))
        stack = Stack(app, f"Service-{region}", env=Environment(account="111122223333", region=region))
        cluster = ecs.Cluster(base, "Cluster", vpc=ec2.Vpc(base, "Vpc", max_azs=1))
        _service(stack, "Web", cluster, images.container(stack, "web"))


SHAPES: Final[tuple[Callable[[App, Images], None], ...]] = (
    web_service,
    queue_worker,
    functions,
    microservices,
    stages,
    nested_stacks,
    images_stack,
    pipeline,
    batch_jobs,
    graviton,
    state_machine,
    app_runner,
    tagged,
    migration_first,
    two_regions,
)
