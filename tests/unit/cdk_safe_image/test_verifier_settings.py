"""ImageVerifier's settings: network, role, keys, queue, and their contradictions."""

from __future__ import annotations

from typing import Any

import pytest
from aws_cdk import Environment, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from aws_cdk.cx_api import CloudAssembly
from aws_cdk.region_info import RegionInfo

from cdk_safe_image import ImageVerifier, SafeDockerImageAsset, verifier
from tests.unit.cdk_safe_image.app import messages_of, new_app, not_empty, resources, stack_in, the_only

FUNCTION = "AWS::Lambda::Function"
POLICY = "AWS::IAM::Policy"
ROLE = "AWS::IAM::Role"
MANAGED = "AWS::IAM::ManagedPolicy"
NETWORK = [
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
]


def vpc_in(stack: Stack, **subnets: Any) -> ec2.IVpc:
    subnets = subnets or {"isolated_subnet_ids": ["subnet-00000000000000001"]}
    return ec2.Vpc.from_vpc_attributes(
        stack, "Vpc", vpc_id="vpc-0123456789abcdef0", availability_zones=["us-east-1a"], **subnets
    )


def made(folder: str, stack: Stack, **keywords: Any) -> ImageVerifier:
    """A verifier, and an image that it verifies."""
    verifier = ImageVerifier(stack, "Verifier", **keywords)
    SafeDockerImageAsset(stack, "Image", directory=folder, verifier=verifier)
    return verifier


def function(assembly: CloudAssembly) -> dict[str, Any]:
    _, resource = the_only(assembly, FUNCTION)
    properties: dict[str, Any] = resource["Properties"]
    return properties


def allowed(policy: dict[str, Any]) -> dict[str, Any]:
    """The resource of each action in a policy of a template."""
    statements = policy.get("Properties", policy)["PolicyDocument"]["Statement"]
    return {
        action: statement["Resource"]
        for statement in statements
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }


@pytest.mark.parametrize(("region", "runtime"), [("cn-north-1", "python3.13"), ("eu-west-1", "python3.14")])
def test_a_partition_without_the_newest_python_gets_its_own_newest_and_a_warning(
    docker_folder: str, monkeypatch: pytest.MonkeyPatch, region: str, runtime: str
) -> None:
    monkeypatch.setattr(verifier, "_OLDER_RUNTIMES", {"aws-cn": "python3.13"})
    app = new_app()
    stack = stack_in(app, region=region)
    SafeDockerImageAsset(stack, "Image", directory=docker_folder, verify_layers=True)
    assembly = app.synth()
    assert the_only(assembly, "AWS::Lambda::Function")[1]["Properties"]["Runtime"] == runtime
    warned = ["cannot read zstd layers" in text for text in messages_of(assembly, "warning")]
    assert warned == [True] * (runtime == "python3.13")


def test_the_table_of_older_runtimes_names_partitions_and_pythons_that_the_verifier_accepts(
    docker_folder: str,
) -> None:
    """The table is empty while no source says that a partition lacks the newest Python."""
    regions = {region.partition: region.name for region in RegionInfo.regions}
    assert verifier._OLDER_RUNTIMES.keys() <= regions.keys()
    for partition, region in regions.items():
        app = new_app()
        stack = stack_in(app, region=region)
        SafeDockerImageAsset(stack, "Image", directory=docker_folder)
        runtime = the_only(app.synth(), "AWS::Lambda::Function")[1]["Properties"]["Runtime"]
        assert runtime == verifier._OLDER_RUNTIMES.get(partition or "", "python3.14")


def test_in_a_vpc_the_lambda_has_the_private_subnets_and_its_own_security_group(docker_folder: str) -> None:
    app = new_app()
    stack = stack_in(app)
    made(docker_folder, stack, vpc=vpc_in(stack))
    assembly = app.synth()
    group, _ = the_only(assembly, "AWS::EC2::SecurityGroup")
    assert function(assembly)["VpcConfig"] == {
        "SecurityGroupIds": [{"Fn::GetAtt": [group, "GroupId"]}],
        "SubnetIds": ["subnet-00000000000000001"],
    }


def test_in_a_vpc_the_lambda_has_the_users_subnets_and_security_groups(docker_folder: str) -> None:
    app = new_app()
    stack = stack_in(app)
    vpc = vpc_in(
        stack, private_subnet_ids=["subnet-00000000000000002"], isolated_subnet_ids=["subnet-00000000000000001"]
    )
    made(
        docker_folder,
        stack,
        vpc=vpc,
        vpc_subnets={"subnet_type": ec2.SubnetType.PRIVATE_ISOLATED},
        security_groups=[ec2.SecurityGroup.from_security_group_id(stack, "Group", "sg-0123456789abcdef0")],
    )
    assert function(app.synth())["VpcConfig"] == {
        "SecurityGroupIds": ["sg-0123456789abcdef0"],
        "SubnetIds": ["subnet-00000000000000001"],
    }


def test_the_role_has_network_permissions_only_in_a_vpc(docker_folder: str) -> None:
    app = new_app()
    inside, outside = stack_in(app, "Inside"), stack_in(app, "Outside")
    made(docker_folder, inside, vpc=vpc_in(inside))
    made(docker_folder, outside)
    assembly = app.synth()
    (policy,) = the_only(assembly, ROLE, "Inside")[1]["Properties"]["Policies"]
    assert dict.fromkeys(NETWORK, "*").items() <= allowed(policy).items()
    (policy,) = the_only(assembly, ROLE, "Outside")[1]["Properties"]["Policies"]
    assert set(allowed(policy)) == {"logs:CreateLogStream", "logs:PutLogEvents"}


def test_the_own_role_has_the_permissions_boundary(docker_folder: str) -> None:
    app = new_app()
    stack = stack_in(app)
    boundary = iam.ManagedPolicy.from_managed_policy_arn(stack, "Boundary", "arn:aws:iam::111122223333:policy/Boundary")
    made(docker_folder, stack, permissions_boundary=boundary)
    _, role = the_only(app.synth(), ROLE)
    assert role["Properties"]["PermissionsBoundary"] == "arn:aws:iam::111122223333:policy/Boundary"


@pytest.mark.parametrize("imported", [True, False])
def test_the_users_role_gets_the_permissions_before_the_lambda_is_made(docker_folder: str, imported: bool) -> None:
    app = new_app()
    stack = stack_in(app)
    role = (
        iam.Role.from_role_name(stack, "Mine", "mine")
        if imported
        else iam.Role(stack, "Mine", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    )
    made(docker_folder, stack, role=role, vpc=vpc_in(stack))
    assembly = app.synth()
    policies = resources(assembly, POLICY)
    actions = {name: set(allowed(policy)) for name, policy in policies.items()}
    assert len(resources(assembly, ROLE)) == (0 if imported else 1)
    own = next(name for name in policies if name.startswith("VerifierPolicy"))
    assert actions.pop(own) == {"logs:CreateLogStream", "logs:PutLogEvents", *NETWORK}
    assert own in the_only(assembly, FUNCTION)[1]["DependsOn"]
    assert [action for (found,) in [actions.values()] for action in sorted(found)][-1] == "ecr:GetDownloadUrlForLayer"
    assert len({str(policy["Properties"]["Roles"]) for policy in policies.values()}) == 1


def test_an_immutable_role_is_not_changed(docker_folder: str) -> None:
    app = new_app()
    stack = stack_in(app)
    role = iam.Role.from_role_arn(stack, "Mine", "arn:aws:iam::111122223333:role/mine", mutable=False)
    made(docker_folder, stack, role=role)
    assembly = app.synth()
    assert not resources(assembly, POLICY)
    assert function(assembly)["Role"] == "arn:aws:iam::111122223333:role/mine"


def test_the_key_encrypts_environment_and_log_group_and_its_policy_allows_logs(docker_folder: str) -> None:
    app = new_app()
    stack = stack_in(app)
    made(docker_folder, stack, encryption_key=kms.Key(stack, "Key"))
    assembly = app.synth()
    name, key = the_only(assembly, "AWS::KMS::Key")
    _, group = the_only(assembly, "AWS::Logs::LogGroup")
    arn = {"Fn::GetAtt": [name, "Arn"]}
    assert function(assembly)["KmsKeyArn"] == group["Properties"]["KmsKeyId"] == arn
    statement = key["Properties"]["KeyPolicy"]["Statement"][-1]
    assert "logs." in str(statement["Principal"])
    assert "kms:EncryptionContext:aws:logs:arn" in statement["Condition"]["ArnLike"]


def test_a_log_group_with_its_own_key_keeps_that_key(docker_folder: str) -> None:
    app = new_app()
    stack = stack_in(app)
    made(docker_folder, stack, log_group=logs.LogGroup(stack, "Mine"), encryption_key=kms.Key(stack, "Key"))
    _, group = the_only(app.synth(), "AWS::Logs::LogGroup")
    assert "KmsKeyId" not in group["Properties"]


@pytest.mark.parametrize("encrypted", [True, False])
def test_the_role_may_send_to_the_dead_letter_queue(docker_folder: str, encrypted: bool) -> None:
    app = new_app()
    stack = stack_in(app)
    key = kms.Key(stack, "Key") if encrypted else None
    made(docker_folder, stack, dead_letter_queue=sqs.Queue(stack, "Dead", encryption_master_key=key))
    assembly = app.synth()
    (queue,) = resources(assembly, "AWS::SQS::Queue")
    arn = {"Fn::GetAtt": [queue, "Arn"]}
    assert function(assembly)["DeadLetterConfig"] == {"TargetArn": arn}
    (policy,) = the_only(assembly, ROLE)[1]["Properties"]["Policies"]
    found = allowed(policy)
    assert found["sqs:SendMessage"] == arn
    assert ("kms:GenerateDataKey" in found) is encrypted
    assert not [name for name in resources(assembly, POLICY) if name.startswith("VerifierRole")]


def test_the_users_concurrency_limit_reaches_the_lambda(docker_folder: str) -> None:
    app = new_app()
    made(docker_folder, stack_in(app), reserved_concurrent_executions=4)
    assert function(app.synth())["ReservedConcurrentExecutions"] == 4


def test_with_managed_policies_no_policy_is_inline(docker_folder: str) -> None:
    app = new_app()
    made(docker_folder, stack_in(app), managed_policies=True)
    assembly = app.synth()
    assert not resources(assembly, POLICY)
    name, role = the_only(assembly, ROLE)
    assert "Policies" not in role["Properties"]
    policies = resources(assembly, MANAGED)
    (own,) = [policy for policy in policies if policy.startswith("VerifierPolicy")]
    assert role["Properties"]["ManagedPolicyArns"] == [{"Ref": own}]
    (reads,) = [policy for policy in policies if policy != own]
    assert policies[reads]["Properties"]["Roles"] == [{"Ref": name}]
    (verification,) = resources(assembly, "Custom::ImageVerification").values()
    assert verification["DependsOn"] == [reads]


def test_no_setting_changes_the_type_of_a_logical_id(docker_folder: str) -> None:
    """CloudFormation refuses to change the type of a resource, so such a setting could never be changed."""
    types: dict[str, str] = {}

    def look(**keywords: Any) -> None:
        app = new_app()
        stack = stack_in(app)
        made(docker_folder, stack, **{name: value(stack) for name, value in keywords.items()})
        for name, resource in app.synth().get_stack_by_name("Demo").template["Resources"].items():
            assert types.setdefault(name, resource["Type"]) == resource["Type"], (name, keywords)

    settings: dict[str, Any] = {
        "vpc": vpc_in,
        "role": lambda stack: iam.Role.from_role_name(stack, "Mine", "mine"),
        "managed_policies": lambda _: True,
        "encryption_key": lambda stack: kms.Key(stack, "Key"),
        "dead_letter_queue": lambda stack: sqs.Queue(stack, "Dead"),
    }
    look()
    for name, value in settings.items():
        look(**{name: value})
        look(**{name: value, "managed_policies": lambda _: True})


def contradicting(stack: Stack) -> dict[str, tuple[dict[str, Any], str]]:
    group = ec2.SecurityGroup.from_security_group_id(stack, "Group", "sg-0123456789abcdef0")
    public = vpc_in(stack, public_subnet_ids=["subnet-00000000000000003"])
    role = iam.Role.from_role_arn(stack, "There", "arn:aws:iam::999999999999:role/there")
    boundary = iam.ManagedPolicy.from_aws_managed_policy_name("ReadOnlyAccess")
    return {
        "groups without vpc": ({"security_groups": [group]}, "security_groups requires a VPC: pass vpc= too"),
        "subnets without vpc": ({"vpc_subnets": ec2.SubnetSelection(one_per_az=True)}, "vpc_subnets requires a VPC"),
        "no group": ({"vpc": public, "security_groups": []}, "security_groups is empty"),
        "public": ({"vpc": public}, "vpc_subnets selects public subnets"),
        "role elsewhere": ({"role": role}, "is in account 111122223333, but its role is in 999999999999"),
        "boundary of another": ({"role": role, "permissions_boundary": boundary}, "set the boundary of role instead"),
        "memory": ({"memory_size": 64}, "use 128 to 10240"),
        "retention": ({"log_retention": 30}, "log_retention is 30: use a retention, such as logs.RetentionDays.ONE_"),
        "never": ({"reserved_concurrent_executions": 0}, "use 1 or more"),
        "old": ({"runtime": lambda_.Runtime.PYTHON_3_9}, "too old for the verifier: use python3.14"),
    }


@pytest.mark.parametrize("name", list(contradicting(stack_in(new_app()))))
def test_contradicting_settings_are_refused_with_the_path_and_a_valid_setting(name: str) -> None:
    stack = stack_in(new_app(), region="us-east-1")
    keywords, message = contradicting(stack)[name]
    with pytest.raises(ValueError, match=r"^Demo/Verifier") as refused:
        ImageVerifier(stack, "Verifier", **keywords)
    assert message in str(refused.value)


def test_a_shared_verifier_gets_a_policy_in_each_stack_that_uses_it(docker_folder: str) -> None:
    app = new_app()
    here = Environment(account="111122223333", region="us-east-1")
    shared = Stack(app, "Shared", env=here)
    verifier = ImageVerifier(shared, "Verifier")
    for name in ("One", "Two"):
        SafeDockerImageAsset(not_empty(Stack(app, name, env=here)), "Image", directory=docker_folder, verifier=verifier)
    assembly = app.synth()
    assert not resources(assembly, POLICY, "Shared")
    (role,) = resources(assembly, ROLE, "Shared")
    for name in ("One", "Two"):
        (policy,) = resources(assembly, POLICY, name).values()
        assert f"Ref{role}" in str(policy["Properties"]["Roles"])
        assert not resources(assembly, FUNCTION, name)
    waits_for = [artifact.id for artifact in assembly.get_stack_by_name("Shared").dependencies]
    assert not {"One", "Two"} & set(waits_for)
