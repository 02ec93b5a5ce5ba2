"""A Fargate cluster with two services: autotag (Python) and alt-text (Node)."""

from __future__ import annotations

from pathlib import Path

from aws_cdk import CfnOutput, Duration, RemovalPolicy, Size, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_logs as logs
from constructs import Construct

from cdk_safe_image import SafeDockerImageAsset

HERE = Path(__file__).parent
PORT = 8080
NETWORK = "10.0.0.0/16"


class ExampleStack(Stack):
    """Both services and the cluster that they share.

    The context values `base-image:python` and `base-image:node` replace the base images of the Dockerfiles, for
    example by those of a mirror.
    """

    def __init__(self, scope: Construct, id: str) -> None:
        super().__init__(scope, id, description="cdk-safe-image: an example")
        vpc = ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=ec2.IpAddresses.cidr(NETWORK),
            max_azs=2,
            nat_gateways=0,
            restrict_default_security_group=False,
            subnet_configuration=[ec2.SubnetConfiguration(name="public", subnet_type=ec2.SubnetType.PUBLIC)],
        )
        cluster = ecs.Cluster(self, "Cluster", vpc=vpc)

        autotag = SafeDockerImageAsset(
            self,
            "AutotagImage",
            directory=str(HERE / "autotag"),
            build_args=self._base_image("python"),
            min_size=Size.mebibytes(50),
            max_size=Size.mebibytes(300),
        )
        alt_text = SafeDockerImageAsset(
            self,
            "AltTextImage",
            directory=str(HERE / "alt-text"),
            build_args=self._base_image("node"),
            min_size=Size.mebibytes(150),
            max_size=Size.mebibytes(900),
        )
        self._serve("Autotag", cluster, autotag, ["python", "-m", "autotag.health"])
        self._serve("AltText", cluster, alt_text, ["node", "health.js"])

    def _base_image(self, name: str) -> dict[str, str] | None:
        reference = self.node.try_get_context(f"base-image:{name}")
        return {"BASE_IMAGE": reference} if reference else None

    def _serve(self, name: str, cluster: ecs.Cluster, image: SafeDockerImageAsset, health: list[str]) -> None:
        task = ecs.FargateTaskDefinition(self, f"{name}Task", cpu=512, memory_limit_mib=1024)
        task.add_container(
            "app",
            image=image.container_image(),
            port_mappings=[ecs.PortMapping(container_port=PORT)],
            environment={"PORT": str(PORT)},
            readonly_root_filesystem=True,
            logging=ecs.LogDrivers.aws_logs(
                stream_prefix=name.lower(),
                log_group=logs.LogGroup(
                    self,
                    f"{name}Logs",
                    retention=logs.RetentionDays.ONE_WEEK,
                    removal_policy=RemovalPolicy.DESTROY,
                ),
            ),
            health_check=ecs.HealthCheck(
                command=["CMD", *health], interval=Duration.seconds(30), start_period=Duration.seconds(15)
            ),
        )
        service = ecs.FargateService(
            self,
            f"{name}Service",
            cluster=cluster,
            task_definition=task,
            desired_count=1,
            assign_public_ip=True,  # to pull without a NAT gateway
            min_healthy_percent=100,
            circuit_breaker=ecs.DeploymentCircuitBreaker(rollback=True),
        )
        service.connections.allow_from(ec2.Peer.ipv4(NETWORK), ec2.Port.tcp(PORT))
        CfnOutput(self, f"{name}ImageUri", value=image.image_uri, description="The image by its verified digest")
