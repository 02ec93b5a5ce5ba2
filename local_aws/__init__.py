"""Development only: an AWS on this machine, for the demo and the tests.

ministack gives CloudFormation, Lambda, IAM, S3 and the rest; a front of our own gives an ECR that is faithful, a
registry that real engines push to and pull from, faults on demand, and CloudFormation's rules for custom resources.

    with LocalAws.start() as aws:
        aws.bootstrap()
        aws.cdk("deploy", "--all", "--require-approval=never", cwd=app)
"""

from __future__ import annotations

from local_aws.account import ACCOUNT, REGION
from local_aws.process import LocalAws, LocalAwsError

__all__ = ["ACCOUNT", "REGION", "LocalAws", "LocalAwsError"]
