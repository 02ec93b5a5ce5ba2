"""Failures that other services report: SageMaker, App Runner, AgentCore, Batch, Kubernetes, CloudFormation."""

from __future__ import annotations

from typing import Final

from ..cause import Cause, Words, near, unless
from ..contexts import BATCH, KUBERNETES

_CHECK: Final = ("Check the image as the service would pull it:", "$ safe-image check {image} --runs-on {runs_on}")

CAUSES: Final = (
    Cause(
        "sagemaker-media-type",
        "SageMaker accepts only Docker schema 2 manifests: no OCI manifest, no index, no provenance.",
        "Current Docker writes OCI manifests, and attaches an attestation that turns the tag into an index. Build with "
        "oci-mediatypes=false and --provenance=false.",
        "create",
        ("image",),
        words=("Unsupported manifest media type", "Ensure that valid manifest media type is used for specified image"),
        confirm=("$ safe-image check {image} --runs-on sagemaker",),
        remedy=(
            "Build Docker schema 2 without an attestation, and push under a new tag:",
            "$ OUT=type=image,push=true,oci-mediatypes=false; "
            "docker buildx build . -t REPOSITORY:TAG --output=$OUT --provenance=false --sbom=false",
        ),
        prevention=('Build with ImagePlatform and runs_on=["sagemaker"] of SafeDockerImageAsset.',),
        sources=(
            "https://github.com/aws/amazon-sagemaker-feedback/issues/180",
            "https://github.com/mlflow/mlflow/issues/13834",
        ),
        findings=("index-not-taken", "manifest-type-refused"),
    ),
    Cause(
        "sagemaker-ping-failed",
        "SageMaker started the container, and it did not answer on /ping: the program, and not the pull, failed.",
        "The container must listen on port 8080 and answer /ping within the time-out. A crash at the start, a wrong "
        "`serve` entrypoint or a missing model give this.",
        "run",
        ("application",),
        words=("did not pass the ping health check", "for the variant {name} did not pass the ping health check"),
        confirm=("Read the endpoint's log in CloudWatch: /aws/sagemaker/Endpoints/NAME.",),
        remedy=("Fix what the container's log shows.",),
        sources=("https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html",),
    ),
    Cause(
        "sagemaker-not-pulled",
        "SageMaker could not pull the image: it does not exist, or the execution role or the repository's policy does "
        "not permit the pull.",
        "The image must be in ECR in the same region. SageMaker gives one text for a missing tag, a wrong name and a "
        "missing permission; an image larger than the instance's disk gives it too.",
        "pull",
        ("permissions", "task definition"),
        words=(
            "Cannot pull algorithm container",
            "Please make sure all images included in the model for the production variant {name} exist",
        ),
        confirm=(
            "See whether the tag is there:",
            "$ aws ecr describe-images --region {region} --registry-id {registry_id} --repository-name {repository}",
            "$ safe-image check {image} --runs-on sagemaker",
        ),
        remedy=(
            "Correct the image's name, or allow the execution role ecr:BatchGetImage, ecr:GetDownloadUrlForLayer and "
            "ecr:GetAuthorizationToken, and the other account in the repository's policy.",
        ),
        sources=("https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html",),
        findings=("image-missing",),
    ),
    Cause(
        "sagemaker-not-started",
        "SageMaker starts an image with the argument serve (or train), and this one does not start that way.",
        "The argument replaces CMD. An image without an ENTRYPOINT needs a program called serve in PATH; one with an "
        "ENTRYPOINT must accept the argument.",
        "start",
        ("image", "application"),
        words=(
            "starts correctly when invoked with 'docker run <image> serve'",
            'exec: "serve": executable file not found in $PATH',
            'exec: "train": executable file not found in $PATH',
        ),
        confirm=("Start it as SageMaker does:", "$ docker run {image} serve"),
        remedy=(
            "Add a program serve to PATH of the image, or an ENTRYPOINT that accepts it, and push under a new tag.",
        ),
        sources=("https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html",),
        findings=("entrypoint-missing", "no-command"),
    ),
    Cause(
        "app-runner-copy-failed",
        "App Runner could not copy or start the image: wrong architecture, missing image, or an access role without "
        "permission.",
        "App Runner runs only x86_64 (linux/amd64) images, and does not check before about ten minutes. For a private "
        "repository its access role needs AWSAppRunnerServicePolicyForECRAccess.",
        "pull",
        ("image", "permissions"),
        words=(
            "Failure reason : Failed to copy the image from ECR",
            "Failed to copy the image from ECR",
            "Failed to pull your application image",
        ),
        confirm=("$ safe-image check {image} --runs-on app-runner",),
        remedy=(
            "Build for linux/amd64, correct the image's name, or give the access role its policy:",
            "$ docker buildx build . -t REPOSITORY:TAG --push --platform linux/amd64",
        ),
        sources=(
            "https://github.com/aws/apprunner-roadmap/issues/46",
            "https://github.com/aws/apprunner-roadmap/issues/79",
        ),
        findings=("platform-mismatch", "image-missing"),
    ),
    Cause(
        "app-runner-not-created",
        "The App Runner service failed to start, and this text does not say why: its deployment and application logs "
        "do.",
        "CloudFormation repeats only that the service failed. A failed pull, a wrong port, a failed health check and a "
        "program that ends all give this.",
        "other",
        ("unknown", "application"),
        words=("Your service failed to create. Review the application logs",),
        confirm=("Read the service's logs:", "$ aws logs tail /aws/apprunner/NAME/ID/service --since 1h"),
        remedy=("Give the last lines of those logs to safe-image explain.",),
        sources=("https://docs.aws.amazon.com/apprunner/latest/dg/monitor-cwl.html",),
        specificity="frame",
    ),
    Cause(
        "exec-agent-not-started",
        "The agent of ECS Exec did not start. The container itself runs on without it.",
        "The host lacks the agent's files or certificates, or the container's file system is read only. Only `aws ecs "
        "execute-command` is affected, so another reason stopped the task.",
        "start",
        ("host engine",),
        words=("Execute Command Agent Initialization failed", "ExecuteCommandAgent{it}STOPPED"),
        confirm=(
            "Read the agent's state and the reason of the stop:",
            "$ aws ecs describe-tasks --cluster CLUSTER --tasks TASK --query "
            "'tasks[].[stoppedReason,containers[].managedAgents]'",
        ),
        remedy=(
            "Start a new task on an up-to-date host, or without enableExecuteCommand; look elsewhere for a stopped "
            "task's cause.",
        ),
        sources=(
            "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-exec.html",
            "https://github.com/aws/amazon-ecs-agent/pull/2770",
        ),
    ),
    Cause(
        "app-runner-access-role",
        "App Runner's access role may not read the ECR repository.",
        "The role must trust build.apprunner.amazonaws.com and have AWSAppRunnerServicePolicyForECRAccess.",
        "resolve",
        ("permissions",),
        words=(
            "Be sure you configure your service with a valid access role to your ECR repository",
            "Invalid Access Role in AuthenticationConfiguration",
        ),
        confirm=("$ aws apprunner describe-service --service-arn SERVICE --query 'Service.SourceConfiguration'",),
        remedy=("Give the service an access role that trusts build.apprunner.amazonaws.com, with that policy.",),
        sources=("https://github.com/aws-containers/hello-app-runner/issues/3",),
    ),
    Cause(
        "agentcore-architecture",
        "Bedrock AgentCore runs only arm64 images, and this image is not one.",
        "AgentCore's micro-VMs are arm64. docker build on an x86_64 machine makes amd64 images by default.",
        "create",
        ("image",),
        words=(
            "Architecture incompatible for uri",
            "Supported architectures: [arm64]",
            *near("agentcore", "exec format error", "architecture"),
        ),
        confirm=("$ safe-image check {image} --runs-on agentcore --platform linux/arm64",),
        remedy=(
            "Build for arm64, and push under a new tag:",
            "$ docker buildx build . -t REPOSITORY:TAG --push --platform linux/arm64",
        ),
        sources=("https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/getting-started-custom.html",),
        findings=("platform-mismatch", "platform-missing"),
    ),
    Cause(
        "pull-secret-missing",
        "The pod has no valid pull secret for the registry.",
        "imagePullSecrets references a secret that is missing in the pod's namespace, or whose login has expired. An "
        "ECR login lasts twelve hours.",
        "resolve",
        ("permissions", "task definition"),
        words=(
            "FailedToRetrieveImagePullSecret",
            "Unable to retrieve some image pull secrets",
        ),
        confirm=("$ kubectl get pod POD -o jsonpath={.spec.imagePullSecrets}",),
        remedy=(
            "Create the secret in the pod's namespace. For ECR on EKS, let the node's role pull and drop the secret.",
        ),
        sources=("https://kubernetes.io/docs/tasks/configure-pod-container/pull-image-private-registry/",),
    ),
    Cause(
        "image-never-pulled",
        "The pod may not pull (imagePullPolicy Never), and the node does not have the image.",
        "The policy Never uses only images that are on the node already.",
        "pull",
        ("task definition",),
        words=("ErrImageNeverPull", "is not present with pull policy of Never"),
        remedy=("Set imagePullPolicy: IfNotPresent, or load the image onto the node.",),
        sources=("https://kubernetes.io/docs/concepts/containers/images/#image-pull-policy",),
    ),
    Cause(
        "hook-refused",
        "A CloudFormation hook refused the change; the hook's own message says why.",
        "A Lambda hook, a Guard hook or a hook of the organization looked at the resource or the change set, and "
        "answered that it does not comply. Nothing was pulled or started.",
        "create",
        ("task definition", "permissions"),
        words=(
            "The following hook(s) failed",
            "Hook failed with message",
            "HOOK_COMPLETE_FAILED",
            "hooks invoked during the operation failed",
            "NonCompliant{it}hook",
            "failed hook",
            "HookFailure",
        ),
        confirm=("Read the hook's results:", "$ aws cloudformation describe-events --stack-name STACK"),
        remedy=("Change the resource as the hook's message says, or ask the owner of the hook.",),
        prevention=("Run the same rules before the deploy.",),
        sources=(
            "https://docs.aws.amazon.com/cloudformation-cli/latest/hooks-userguide/what-is-cloudformation-hooks.html",
        ),
    ),
    Cause(
        "batch-image",
        "The Batch job's container could not be pulled or started; the rest of the reason says why.",
        "Batch repeats what ECS reports.",
        "pull",
        ("unknown",),
        words=(Words("Task failed to start", BATCH),),
        also=(*near(BATCH, "CannotPullContainerError"),),
        confirm=("$ aws batch describe-jobs --jobs JOB --query 'jobs[].[statusReason,attempts[].container.reason]'",),
        remedy=("Give the whole reason to safe-image explain.",),
        sources=("https://docs.aws.amazon.com/batch/latest/userguide/troubleshooting.html",),
        specificity="frame",
    ),
    Cause(
        "pod-sandbox-image",
        "The node could not pull the pause image, which Kubernetes starts before each pod; the pod's own image was not "
        "looked at yet.",
        "The node's clean-up removed the pause image, and containerd has no login to pull it from ECR again. Otherwise "
        "the node's role lacks the permission to pull, or the node does not reach the registry.",
        "pull",
        ("host engine", "permissions"),
        words=(
            "failed to get sandbox image",
            *near(r"podsandbox", "eks/pause", "failed pulling image"),
            *near(r"/pause[-:@]", "Failed create pod sandbox", "Failed to create pod sandbox"),
        ),
        confirm=("See on the node whether the image is there:", "$ sudo crictl images | grep pause"),
        remedy=(
            "Replace the node, or let it pull the image again:",
            "$ sudo systemctl restart sandbox-image",
            "Where a new node fails too, give its role AmazonEC2ContainerRegistryPullOnly.",
        ),
        prevention=("Use a current EKS image for nodes, which pins the pause image.",),
        sources=(
            "https://github.com/awslabs/amazon-eks-ami/issues/1597",
            "https://github.com/awslabs/amazon-eks-ami/issues/1425",
        ),
    ),
    Cause(
        "pod-without-address",
        "The pod got no IP address: the node, or its subnet, has none left.",
        "The VPC CNI gives each pod an address of the subnet, and a node of a small type has only a few. The image was "
        "not looked at yet.",
        "place",
        ("network", "quota"),
        words=("failed to assign an IP address to container", "add cmd: failed to assign an IP address to container"),
        confirm=(
            "See the free addresses of the subnets:",
            "$ aws ec2 describe-subnets --query 'Subnets[].[SubnetId,AvailableIpAddressCount]' --output table",
        ),
        remedy=("Use a larger subnet or node type, turn on prefix delegation, or upgrade the VPC CNI plugin.",),
        sources=("https://docs.aws.amazon.com/eks/latest/userguide/cni-increase-ip-addresses.html",),
    ),
    Cause(
        "pod-sandbox",
        "Kubernetes could not set up the pod's network or sandbox; the image was not looked at yet.",
        "The CNI plugin has no free address or is not ready, so the pod has no network.",
        "place",
        ("network", "host engine"),
        words=(
            *unless(
                r"failedtogetsandboximage|failedpullingimage\W{0,3}pause|/pause[-:@]",
                "FailedCreatePodSandBox",
                "failed to create pod sandbox",
                "Failed create pod sandbox",
            ),
            "failed to setup network for sandbox",
            *near(KUBERNETES, "network plugin is not ready", "cni plugin not initialized"),
        ),
        confirm=("$ kubectl describe pod POD", "$ kubectl -n kube-system logs -l k8s-app=aws-node --tail=50"),
        remedy=("Free addresses in the node's subnet, use prefix delegation, or repair the CNI plugin.",),
        sources=("https://docs.aws.amazon.com/eks/latest/userguide/troubleshooting.html",),
    ),
    Cause(
        "kubernetes-back-off",
        "Kubernetes waits before it pulls again; why the pull fails is in an earlier event.",
        "ImagePullBackOff and ErrImagePull say only that a pull failed.",
        "pull",
        ("unknown",),
        words=("ImagePullBackOff", "ErrImagePull", "Back-off pulling image"),
        confirm=("Read the events of the pod, above all `Failed to pull image`:", "$ kubectl describe pod POD"),
        remedy=("Give that event to safe-image explain.",),
        sources=("https://kubernetes.io/docs/concepts/containers/images/#imagepullbackoff",),
        specificity="wrapper",
    ),
)
