"""Failures to read the secrets, the parameters and the registry's login of a task."""

from __future__ import annotations

from typing import Final

from ..cause import Cause, near, unless
from ..contexts import ECS, SECRETS

_ECS_INIT: Final = "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/resource-initialization-error.html"
_LOGS: Final = r"loggingdriver|loggerargs"

CAUSES: Final = (
    Cause(
        "secret-denied",
        "The execution role may not read a secret, a parameter or the registry's login that the task definition "
        "references.",
        "ECS reads secrets before it starts a container, with the execution role and not with the task role. The role "
        "lacks secretsmanager:GetSecretValue, ssm:GetParameters or kms:Decrypt.",
        "resolve",
        ("permissions",),
        words=(
            "failed to fetch secret {arn} from secrets manager: AccessDenied",
            "unable to get registry auth from asm{it}AccessDenied",
            "unable to retrieve secret from asm{it}AccessDenied",
            "unable to retrieve secrets from ssm{it}AccessDenied",
            "execution resource retrieval failed{it}AccessDenied",
            "Fetching secret data from SSM Parameter Store in {region}: AccessDenied",
            "Fetching secret data from AWS Secrets Manager in region {region}: {it}AccessDenied",
            *near(ECS, "is not authorized to perform: secretsmanager:GetSecretValue"),
            *near(ECS, "is not authorized to perform: ssm:GetParameters"),
            *near(r"secret|ssm|parameter", "is not authorized to perform: kms:Decrypt", unless="lambda"),
            *near(ECS, "Access to KMS is not allowed"),
        ),
        confirm=(
            "See the execution role and the secrets of the task definition:",
            "$ aws ecs describe-task-definition --task-definition TASK_DEFINITION --query "
            "'taskDefinition.[executionRoleArn,containerDefinitions[].secrets]'",
        ),
        remedy=(
            "Allow the execution role secretsmanager:GetSecretValue or ssm:GetParameters on the secret, and "
            "kms:Decrypt on its key: secret.grant_read(task_definition.obtain_execution_role()) in CDK.",
        ),
        prevention=("Pass secrets with ecs.Secret.from_secrets_manager, which grants the permission.",),
        sources=(
            _ECS_INIT,
            "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/secrets-envvar-secrets-manager.html",
        ),
    ),
    Cause(
        "secret-missing",
        "A secret, a key of a secret or a parameter that the task definition references does not exist.",
        "The name, the region, the JSON key or the version of the secret is wrong, or the secret is marked for "
        "removal.",
        "resolve",
        ("task definition",),
        words=(
            *near(SECRETS, "ResourceNotFoundException: Secrets Manager can't find the specified secret"),
            "retrieved secret from Secrets Manager did not contain json key",
            "invalid ssm parameters",
            *near(ECS, "Secrets Manager can't find the specified secret", "ParameterNotFound"),
            "unexpected ARN format with parameters when trying to retrieve ASM secret",
            "because it was marked for deletion",
        ),
        confirm=("Ask for the secret:", "$ aws secretsmanager describe-secret --secret-id SECRET"),
        remedy=("Correct the secret's ARN, its JSON key or the parameter's name in the task definition.",),
        sources=(_ECS_INIT,),
    ),
    Cause(
        "registry-auth-unreachable",
        "The task has no network path to ECR or Secrets Manager, so it got no login for the pull.",
        "Fargate asks for the login through the task's own network interface. In a private subnet there is no NAT "
        "gateway and no VPC endpoint (ecr.api, ecr.dkr, secretsmanager, ssm, S3), in a public one the task has no "
        "public IP, or a security group blocks port 443.",
        "resolve",
        ("network",),
        words=(
            "unable to pull secrets or registry auth: {it}context deadline exceeded",
            "unable to pull secrets or registry auth: {it}RequestError: send request failed",
            "unable to pull secrets or registry auth: {it}i/o timeout",
            "unable to pull secrets or registry auth: {it}There is a connection issue between the task and",
            "unable to pull secrets or registry auth: {it}request canceled",
            "unable to pull secrets or registry auth: {it}connection reset",
            "unable to pull secrets or registry auth: {it}no such host",
            "unable to pull secrets or registry auth: {it}deadline exceeded",
            "There is a connection issue between the task and AWS Secrets Manager",
            "There is a connection issue between the task and AWS Systems Manager",
            "There is a connection issue between the task and SSM",
            "execution resource retrieval failed: unable to retrieve ecr registry auth: service call has been retried",
            *near(SECRETS + "|" + ECS, "RequestError: send request failed", "RequestCanceled", unless=_LOGS),
        ),
        also=unless("accessdenied", "unable to pull secrets or registry auth"),
        confirm=(
            "Let AWS look for the missing piece: run the Systems Manager runbook "
            "AWSSupport-TroubleshootECSTaskFailedToStart on the task.",
        ),
        remedy=(
            "Private subnet: add a NAT gateway, or VPC endpoints for ecr.api, ecr.dkr, logs, secretsmanager and ssm, "
            "and a gateway endpoint for S3; their security group must allow port 443 from the task.",
            "Public subnet: set assignPublicIp to ENABLED.",
        ),
        prevention=("Deploy the endpoints and the routes in the stack of the VPC, and let the service depend on it.",),
        sources=(
            _ECS_INIT,
            "https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html",
            "https://repost.aws/knowledge-center/ecs-unable-to-pull-secrets",
        ),
    ),
    Cause(
        "registry-auth-failed",
        "ECS could not read the task's secrets or the registry's login, with the network or the execution role to "
        "blame.",
        "The end of the text, after `service call has been retried`, names which: AccessDenied is the execution role, "
        "a timeout is the network.",
        "resolve",
        ("permissions", "network"),
        words=(
            "unable to pull secrets or registry auth",
            "unable to retrieve ecr registry auth",
            "unable to get registry auth from asm",
        ),
        confirm=(
            "Read the whole reason of the stopped task:",
            "$ aws ecs describe-tasks --cluster CLUSTER --tasks TASK",
        ),
        remedy=(
            "With AccessDenied: give the execution role AmazonECSTaskExecutionRolePolicy and access to the secret.",
            "With a timeout: give the subnet a NAT gateway or VPC endpoints.",
        ),
        sources=(_ECS_INIT,),
        specificity="frame",
    ),
)
