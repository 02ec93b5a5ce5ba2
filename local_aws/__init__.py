"""Development only: an AWS on this machine, for the demo and the tests.

ministack provides CloudFormation, Lambda, IAM, S3 and the rest. A gateway of our own in front of it adds a faithful
ECR, a registry that real engines push to and pull from, CloudFormation's rules for custom resources, and faults on
demand.

    with LocalAws.start() as aws:
        aws.bootstrap()
        aws.cdk("deploy", "--all", "--require-approval=never", cwd=app)
"""

from __future__ import annotations

from local_aws.account import ACCOUNT, REGION
from local_aws.process import LocalAws, LocalAwsError

__all__ = ["ACCOUNT", "REGION", "LocalAws", "LocalAwsError"]
