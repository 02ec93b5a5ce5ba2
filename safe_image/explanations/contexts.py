"""Contexts of an error: words of a pull, a push, a build or a service, as patterns for squashed text.

Applications say "i/o timeout" and "AccessDenied" too. Such words count only near one of these.
"""

from __future__ import annotations

from typing import Final

# A tool that pulls, an address that only registries have, or a service that reports a pull.
PULL: Final = (
    r"cannotpull|compose.{0,60}pull|imagepull|pullimage|pull(?:ing)?(?:access|and|from|images?|manifest)|refpull|failedtopull|dockerpull"
    r"|/v2/|/manifests/|/blobs/|\.dkr\.ecr\.|public\.ecr\.aws|docker\.io|registry-1|ghcr\.io|quay\.io|gcr\.io|mcr\.micros"
    r"|failedtoresolve(?:ref|source)|httpreadseeker|starport|registryauth|failedtofetch(?:anonymous|oauth)token"
    r"|errorreadingmanifest|errorinitializingsource|auth\.docker|errorresponsefromdaemon:(?:get|head)|containerregistry|copyimage|api\.ecr|downloadinglayer"
)
# `(service web) …` is an event of ECS, `(Service: Amazon S3; …)` an error of an AWS SDK.
ECS: Final = (
    r"resourceinitializationerror|stoppedreason|stoppedtask|taskfailedtostart|cannotstart|cannotcreate|cannotpull"
    r"|executionrole|executionresource|taskdefinition|fargate|\(service(?!:)[^)]{1,200}\)|ecsagent|amazon-?ecs|awsecs|ecs\.amazon"
    r"|unabletoplaceatask|containerinstance|ecsdeployment"
)
ANY: Final = f"{PULL}|{ECS}"
PUSH: Final = (
    r"dockerpush|failedtopush|putrequest|pushrefersto|pushingmanifest|pushinglayers|failedtocopy:failedtodo|pushimage"
    r"|cdk-assets|imagetoolscreate|failedcommitonrefmanifest|initiatelayerupload|putimage|/blobs/uploads"
    r"|errorpushing|pushpermission|action:push|cannotpush|imagepush"
)
# BuildKit numbers its steps: `#7 0.371 …`, `#7 ERROR`.
BUILD: Final = (
    r"dockerbuild|failedtosolve|didnotcompletesuccessfully|buildx|buildkit|executorfailedrunning|thecommand/bin/sh-c"
    r"|dockerfile|#\d{1,3}\d+\.\d{1,4}|#\d{1,3}error|returnedanon-zerocode|kaniko|sendingbuildcontext|failedtobuild|composebuild|podmanbuild|buildahbud|finchbuild"
)
# The config lists no layer at all, so its own content is at fault.
NO_DIFF_IDS: Final = r"match:\d+!=0(?!\d)"
EXTRACT: Final = (
    r"failedtoextractlayer|failedtoregisterlayer|applylayer|failedtounpack|errorprocessingtarfile|unpackimage"
    r"|docker-untar"
)
LAMBDA: Final = r"lambda|runtime\.(?:invalid|exit)|requestid:|/var/task|bootstrap|errortype|imagelayerfailure"
KUBERNETES: Final = (
    r"kubelet|errimagepull|imagepullbackoff|rpcerror:code|back-?offpulling|crashloopbackoff|failedcreatepodsandbox"
    r"|podsandbox"
)
S3: Final = r"starport|\.s3\.|s3-|amazonaws\.com/[0-9a-f]{4,6}-"
SECRETS: Final = r"secret|from[as]sm|ssm[:.]|parameter|registryauth|s3arns|environmentfile"
# ECR has actions such as BatchGetImage, and every pipeline has jobs.
BATCH: Final = r"awsbatch|batchjob|batch\.|batchcompute|jobdefinition|jobqueue|jobattempt"
