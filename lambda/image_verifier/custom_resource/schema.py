"""The wire contract of a Custom::ImageVerification: the names of its properties and of its attributes.

The construct, the handler and the commands all use these. This module imports nothing of ours, so that the handler can
read a property even where another module cannot be imported.
"""

from __future__ import annotations

from typing import Final

RESOURCE_TYPE: Final = "Custom::ImageVerification"


class Property:
    """The names of the properties. CloudFormation sends every scalar as a string."""

    REPOSITORY_ARN: Final = "RepositoryArn"
    REPOSITORY_URI: Final = "RepositoryUri"
    IMAGE_TAG: Final = "ImageTag"
    IMAGE_DIGEST: Final = "ImageDigest"
    RUNS_ON: Final = "RunsOn"
    PLATFORM: Final = "Platform"
    PIN: Final = "Pin"
    MIN_SIZE: Final = "MinSize"
    MAX_SIZE: Final = "MaxSize"
    VERIFY_LAYERS: Final = "VerifyLayers"
    FAIL_ON: Final = "FailOn"
    REQUIRE: Final = "Require"
    ACKNOWLEDGE: Final = "Acknowledge"
    ON_FAILURE: Final = "OnFailure"
    NOTIFY_TOPIC_ARN: Final = "NotifyTopicArn"
    CONSTRUCT_PATH: Final = "ConstructPath"
    LOCAL_IMAGE: Final = "LocalImage"
    BUILD_OUTPUTS: Final = "BuildOutputs"
    STACK_NAME: Final = "StackName"
    # CloudFormation's own. It reaches the handler with the others.
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudformation-customresource.html
    SERVICE_TIMEOUT: Final = "ServiceTimeout"


class Attribute:
    """The names of the attributes, which `Fn::GetAtt` reads."""

    IMAGE_URI: Final = "ImageUri"
    IMAGE_DIGEST: Final = "ImageDigest"
    IMAGE_TAG: Final = "ImageTag"
    SIZE_IN_BYTES: Final = "SizeInBytes"
    MEDIA_TYPE: Final = "MediaType"
    PLATFORM: Final = "Platform"
    LAYER_COUNT: Final = "LayerCount"
    WARNINGS: Final = "Warnings"
