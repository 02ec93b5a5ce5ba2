"""The definition of a sweep's state machine, in Amazon States Language.

https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html. Each line of the items file is a batch
already, and each batch writes its own results: so nothing depends on ItemBatcher or on the results of the map, which
grow with the registry. They are written to the bucket, since an output has at most 256 KiB.
"""

from __future__ import annotations

from typing import Any, Final

# The time that a task may take, in seconds; its Lambda ends earlier.
_TASK_SECONDS: Final = 1000
# A Lambda that could not be invoked waits for capacity; one that failed or died gets four more attempts.
_RETRY: Final = (
    {
        "ErrorEquals": [
            "Lambda.AWSLambdaException",
            "Lambda.ClientExecutionTimeoutException",
            "Lambda.SdkClientException",
            "Lambda.ServiceException",
            "Lambda.TooManyRequestsException",
        ],
        "IntervalSeconds": 2,
        "BackoffRate": 2,
        "MaxAttempts": 10,
        "MaxDelaySeconds": 120,
        "JitterStrategy": "FULL",
    },
    {
        "ErrorEquals": ["States.ALL"],
        "IntervalSeconds": 2,
        "BackoffRate": 2,
        "MaxAttempts": 4,
        "MaxDelaySeconds": 60,
        "JitterStrategy": "FULL",
    },
)


def sweep_definition(
    *, partition: str, bucket: str, list_images: str, verify_batch: str, sum_up: str, max_concurrency: int
) -> dict[str, Any]:
    """The definition.

    :param partition: the partition, such as `aws`.
    :param bucket: the name of the bucket with the items and the results.
    :param list_images: ARN of the Lambda that lists the images.
    :param verify_batch: ARN of the Lambda that verifies one batch.
    :param sum_up: ARN of the Lambda that sums up, and that records the error of a batch that failed.
    :param max_concurrency: the largest number of batches at once.
    """

    def call(function: str, payload: dict[str, Any], **more: Any) -> dict[str, Any]:
        return {
            "Type": "Task",
            "Resource": f"arn:{partition}:states:::lambda:invoke",
            "Parameters": {"FunctionName": function, "Payload": payload},
            "TimeoutSeconds": _TASK_SECONDS,
            "Retry": list(_RETRY),
            **more,
        }

    verify = call(
        verify_batch,
        {"sweep.$": "$.sweep", "item.$": "$.item"},
        OutputPath="$.Payload",
        Catch=[{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": "Record the failure"}],
        End=True,
    )
    record = call(
        sum_up,
        {"sweep.$": "$.sweep", "item.$": "$.item", "failure.$": "$.failure"},
        OutputPath="$.Payload",
        End=True,
    )
    batches = {
        "Type": "Map",
        "Label": "Batches",
        "ItemReader": {
            "Resource": f"arn:{partition}:states:::s3:getObject",
            "ReaderConfig": {"InputType": "JSONL"},
            "Parameters": {"Bucket": bucket, "Key.$": "$.sweep.items"},
        },
        "ItemSelector": {"sweep.$": "$.sweep", "item.$": "$$.Map.Item.Value"},
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "Verify a batch",
            "States": {"Verify a batch": verify, "Record the failure": record},
        },
        "MaxConcurrency": max_concurrency,
        # The summary names each batch without results; the others go on.
        "ToleratedFailurePercentage": 100,
        "ResultWriter": {
            "Resource": f"arn:{partition}:states:::s3:putObject",
            "Parameters": {"Bucket": bucket, "Prefix.$": "States.Format('{}runs', $.sweep.folder)"},
        },
        "ResultSelector": {},
        "ResultPath": "$.results",
        "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": "Sum up"}],
        "Next": "Sum up",
    }
    return {
        "Comment": "Verifies the images of a registry",
        "StartAt": "List the images",
        "States": {
            "List the images": call(
                list_images,
                {"started.$": "$$.Execution.StartTime", "input.$": "$$.Execution.Input"},
                ResultSelector={"sweep.$": "$.Payload"},
                Next="Is there a batch?",
            ),
            "Is there a batch?": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.sweep.batches", "NumericGreaterThan": 0, "Next": "Verify the batches"}],
                "Default": "Sum up",
            },
            "Verify the batches": batches,
            "Sum up": call(sum_up, {"sweep.$": "$.sweep"}, OutputPath="$.Payload", End=True),
        },
    }
