"""A verifier without findings of cdk-nag's packs for HIPAA, NIST 800-53 and PCI DSS, and without suppressions."""

from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sqs as sqs

from cdk_safe_image import ImageVerifier, SafeDockerImageAsset

app = cdk.App()
stack = cdk.Stack(app, "Hardened", env=cdk.Environment(account="123456789012", region="eu-west-1"))
vpc = ec2.Vpc.from_vpc_attributes(
    stack,
    "Vpc",
    vpc_id="vpc-0123456789abcdef0",
    availability_zones=["eu-west-1a", "eu-west-1b"],
    isolated_subnet_ids=["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
    isolated_subnet_route_table_ids=["rtb-0123456789abcdef0", "rtb-0123456789abcdef1"],
)
key = kms.Key(stack, "Key", enable_key_rotation=True)
verifier = ImageVerifier(
    stack,
    "Verifier",
    vpc=vpc,
    encryption_key=key,
    dead_letter_queue=sqs.Queue(stack, "DeadLetters", encryption_master_key=key, enforce_ssl=True),
    reserved_concurrent_executions=10,
    managed_policies=True,
)
SafeDockerImageAsset(stack, "Image", directory=str(Path(__file__).parent / "service"), verifier=verifier)
app.synth()
