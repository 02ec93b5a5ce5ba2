"""The hosts of ECR's registries, of every partition.

https://github.com/awslabs/amazon-ecr-credential-helper/blob/main/ecr-login/api/client.go
"""

from __future__ import annotations

import re
from typing import Final

# FIPS and dual-stack ones included.
ECR_HOST: Final = re.compile(
    r"(?P<account>\d{12})\.dkr[.-]ecr(?P<fips>-fips)?\.(?P<region>[a-z0-9-]+)\."
    r"(?:amazonaws\.com(?:\.cn)?|amazonaws\.eu|(?P<dual>on\.aws|on\.amazonwebservices\.com\.cn)"
    r"|c2s\.ic\.gov|sc2s\.sgov\.gov|cloud\.adc-e\.uk|csp\.hci\.ic\.gov)"
)
# The partitions whose suffix is not amazonaws.com.
_SUFFIXES: Final = {
    "aws-cn": "amazonaws.com.cn",
    "aws-iso": "c2s.ic.gov",
    "aws-iso-b": "sc2s.sgov.gov",
    "aws-iso-e": "cloud.adc-e.uk",
    "aws-iso-f": "csp.hci.ic.gov",
    "aws-eusc": "amazonaws.eu",
}


def ecr_host(account: str, region: str, partition: str) -> str:
    """The host of an account's registry."""
    return f"{account}.dkr.ecr.{region}.{_SUFFIXES.get(partition, 'amazonaws.com')}"
