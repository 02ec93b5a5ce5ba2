"""Images of the wrong kind under a tag: an attestation, an index, layers or a manifest that an engine refuses."""

from __future__ import annotations

from typing import Final

from ..cause import Cause, Words, near, seen, unless
from ..contexts import BUILD, NO_DIFF_IDS, PULL

_CDK_30258: Final = "https://github.com/aws/aws-cdk/issues/30258"
_CDK_30680: Final = "https://github.com/aws/aws-cdk/issues/30680"
_CHECK: Final = ("Check the image as the runtime would pull it:", "$ safe-image check {image} --runs-on {runs_on}")
_BUILD_WITHOUT: Final = (
    "Build with --output=type=docker,attestation-inline=false,oci-mediatypes=true (SafeDockerImageAsset does), or with "
    "AWS CDK CLI 2.179.0 or later and Docker 28.2.0 or later."
)
CAUSES: Final = (
    Cause(
        "tag-is-attestation",
        "The tag points at a build attestation (provenance), not at an image.",
        "docker build attaches an attestation, and Docker before 28.2.0 pushes the image, the attestation and the "
        "index to one tag. If the tag is immutable, the first push wins. The registry shows an image of almost no "
        "size, and an engine finds an in-toto document where a layer should be.",
        "pull",
        ("image", "build machine"),
        words=(
            "failed to get stream processor for application/vnd.in-toto+json: no processor for media-type",
            *seen(_CDK_30680, "unsupported media type application/vnd.in-toto+json"),
            "application/vnd.in-toto+json",
            "mismatched image rootfs and manifest layers",
            "unsupported media type application/vnd.oci.empty.v1+json",
            "application/vnd.docker.attestation.manifest.v1+json",
        ),
        confirm=_CHECK,
        remedy=(
            "Run safe-image explain with --image and the image: if the image is to blame, it prints the commands that "
            "replace the tag. After a failed cdk deploy, safe-image heal does it in one step.",
            "A new deploy alone does not help: CDK finds the tag and skips the push.",
        ),
        prevention=(_BUILD_WITHOUT,),
        sources=(_CDK_30258, "https://github.com/aws/aws-cdk/issues/33264", "https://github.com/moby/moby/pull/49949"),
        findings=("not-an-image", "manifest-type-refused"),
    ),
    Cause(
        "tag-is-artifact",
        "The tag points at an artifact that is not an image: a chart, a signature, a build cache, a model or a wasm "
        "module.",
        "The artifact has a config or layers of a type that container engines do not unpack. Often a tool pushed it "
        "under the image's own tag, or the task definition references the artifact's repository.",
        "pull",
        ("image", "task definition"),
        words=(
            'Encountered remote "{media_type}"({kind}) when fetching',
            "unsupported media type application/vnd.cncf.helm",
            "unsupported media type application/vnd.buildkit.cacheconfig.v0",
            "unsupported media type application/vnd.dev.cosign",
            "unknown image config media type",
            "unexpected media type {media_type} for {digest}: not found",
        ),
        also=("mismatched image rootfs and manifest layers",),
        confirm=_CHECK,
        remedy=(
            "Reference the image's own tag. Keep artifacts, caches and charts in repositories or tags of their own.",
        ),
        prevention=("Write build caches to another repository than images.",),
        sources=(
            "https://github.com/opencontainers/image-spec/blob/main/manifest.md#guidelines-for-artifact-usage",
            "https://docs.docker.com/build/cache/backends/registry/",
        ),
        findings=("not-an-image", "layer-type-unsupported"),
    ),
    Cause(
        "zstd-not-counted",
        "The image has zstd layers under Docker's media type, which containerd before 2.0 does not count as layers.",
        "The engine counted fewer layers than the config lists: the first number is what it knows, the second is what "
        "there is. Usually a base image moved to zstd, and the build kept Docker's manifest format. With OCI media "
        "types the same zstd layers pull everywhere.",
        "pull",
        ("image", "base image"),
        words=(
            *unless(
                NO_DIFF_IDS,
                "number of layers and diffIDs don't match",
                "number of layers and diffIDs do not match",
            ),
            "failed to get stream processor for application/vnd.docker.image.rootfs.diff.tar.zstd: no processor",
            "unsupported media type application/vnd.docker.image.rootfs.diff.tar.zstd",
            "application/vnd.docker.image.rootfs.diff.tar.zstd",
        ),
        confirm=_CHECK,
        remedy=(
            "Build again with OCI media types, and push under a new tag:",
            "$ OUT=type=image,push=true,oci-mediatypes=true; "
            "docker buildx build . -t REPOSITORY:TAG --output=$OUT --provenance=false --sbom=false",
            "For an engine that knows no zstd at all, add compression=gzip,force-compression=true.",
        ),
        prevention=(
            "Use SafeDockerImageAsset, which builds OCI media types and verifies the image before the service.",
        ),
        sources=(
            "https://vrnithinkumar.github.io/2025/02/17/aws-ecs-docker-pull-error",
            "https://github.com/containerd/containerd/commit/d651cb743",
            "https://github.com/bottlerocket-os/bottlerocket/issues/3806",
        ),
        findings=("layer-type-unsupported",),
    ),
    Cause(
        "zstd-old-docker",
        "The host's Docker is older than 23.0 and does not read zstd layers.",
        "Docker before 23.0 reads a zstd layer as a plain tar, so it reports an invalid tar header. Hosts with an old "
        "ECS-optimized AMI, and old CI runners, have such a Docker. An OCI layer typed as plain tar that holds "
        "compressed bytes fails the same way.",
        "unpack",
        ("image", "host engine"),
        words=(
            "failed to register layer: Error processing tar file(exit status 1): archive/tar: invalid tar header",
            "failed to register layer: Error processing tar file{it}archive/tar: invalid tar header",
            *near(r"applylayer|errorprocessingtarfile", "archive/tar: invalid tar header"),
            "Error processing tar file(exit status 1): invalid tar header",
        ),
        confirm=("See the engine of the host, then check the image:", "$ docker version", *_CHECK[1:]),
        remedy=("Use a current ECS-optimized AMI (Docker 25), or build with compression=gzip,force-compression=true.",),
        prevention=("Refresh AMIs regularly, and build gzip layers for hosts that you do not control.",),
        sources=("https://github.com/aws/amazon-ecs-agent/issues/4179", "https://github.com/moby/moby/pull/44598"),
        findings=("layer-type-unsupported", "diff-id-wrong", "tar-invalid"),
    ),
    Cause(
        "layers-encrypted",
        "The image's layers are encrypted, and the host has no key and no decoder.",
        "Layers of type +encrypted need a stream processor (ctd-decoder, imgcrypt) and a private key on the host.",
        "unpack",
        ("image", "host engine"),
        words=(
            '"ctd-decoder": executable file not found in $PATH',
            "ctd-decoder resolves to executable in current directory",
            "tar+gzip+encrypted",
            "missing private key needed for decryption",
        ),
        confirm=_CHECK,
        remedy=("Reference the image that is not encrypted, or set up imgcrypt on hosts of your own.",),
        sources=("https://github.com/containerd/imgcrypt",),
        findings=("layer-type-unsupported",),
    ),
    Cause(
        "signature-missing",
        "The engine expects a schema 1 signature: the manifest is in a format that no current tool should write.",
        "`missing signature key` comes from Docker's reader for schema 1. The registry or a proxy served another "
        "manifest than the engine's Accept header allows, or served it under the wrong content type.",
        "pull",
        ("registry", "image"),
        words=("missing signature key", "manifest invalid: missing signature"),
        confirm=("See the media type that the registry serves:", "$ docker buildx imagetools inspect {image}"),
        remedy=("Pull from the origin without the proxy; upgrade an old Docker; push again with a current Docker.",),
        prevention=("Use a registry and a Docker that support OCI manifests.",),
        sources=("https://github.com/docker/hub-feedback/issues/2043", "https://github.com/moby/moby/issues/36450"),
        findings=("schema-1", "manifest-unreadable"),
    ),
    Cause(
        "schema-1-refused",
        "The manifest is a Docker schema 1 manifest, which current engines refuse.",
        "Images that were pushed by Docker before 1.10, or copied by old tools, have schema 1. Docker 28.2 and "
        "containerd 2.1 removed it.",
        "pull",
        ("image",),
        words=(
            "schema 1 image manifests are no longer supported",
            "schema 1 support has been removed",
            'media type "application/vnd.docker.distribution.manifest.v1+prettyjws" is no longer supported',
            "Docker Image manifest version 2, schema 1",
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
            "unsupported docker v2s1",
        ),
        confirm=_CHECK,
        remedy=("Pull with an older engine or with skopeo, and push again; the copy has schema 2.",),
        prevention=("Rebuild the image with a current builder.",),
        sources=("https://docs.docker.com/retired/#docker-engine-no-longer-supports-schema-1",),
        findings=("schema-1",),
    ),
    Cause(
        "media-type-refused",
        "The service or the engine does not accept the media type of the image's manifest, config or a layer.",
        "A tool of the pipeline wrote another format than the service reads: OCI where Docker schema 2 is required, an "
        "index where one image is required, or layers with a type of their own.",
        "pull",
        ("image", "host engine"),
        words=(
            "unsupported docker v2s2 media type",
            *near(PULL + "|layer|manifest", "unsupported MediaType", "unsupported media type"),
            "unsupported manifest media type and digest",
            "no processor for media-type",
            "unsupported media type {media_type}",
        ),
        confirm=_CHECK,
        remedy=(
            "Build the format that the service reads; Docker schema 2 with gzip layers is the most widely accepted:",
            "$ OUT=type=image,push=true,oci-mediatypes=false; OUT=$OUT,compression=gzip,force-compression=true; "
            "docker buildx build . -t REPOSITORY:TAG --output=$OUT --provenance=false --sbom=false",
        ),
        prevention=("Verify the image for its runtime before the deploy.",),
        sources=(_CDK_30680, "https://github.com/containers/image/blob/main/manifest/docker_schema2.go"),
        findings=("not-an-image", "layer-type-unsupported", "manifest-type-refused"),
    ),
    Cause(
        "platform-not-in-index",
        "The image has no variant for the platform (architecture) of the task, such as linux/amd64.",
        "The tag is an index without that platform. Usually the image was built on a machine of another architecture, "
        "such as an Apple silicon Mac, and only for that.",
        "resolve",
        ("image", "task definition"),
        words=(
            *unless(
                r"dockerbuild|failedtosolve|#\d+error",
                "no match for platform in manifest",
                "no matching manifest for {platform} in the manifest list entries",
                "no matching manifest for",
            ),
            "image Manifest does not contain descriptor matching platform",
            "failed to find a descriptor for platform",
            "does not match the detected host platform",
            *unless(BUILD, "was found but its platform {platform} does not match the specified platform"),
            "no matching manifest for unknown in the manifest list entries",
            "no child with platform",
            "no matching architecture",
        ),
        confirm=("List the platforms of the image:", "$ docker buildx imagetools inspect {image}", *_CHECK[1:]),
        remedy=(
            "Build for the platform of the service and push under a new tag:",
            "$ docker buildx build . -t REPOSITORY:TAG --push --platform {platform}",
            "Or set the task's runtimePlatform (cpuArchitecture) to what the image has.",
        ),
        prevention=("Set platform= of the asset; SafeDockerImageAsset requires the platform and verifies it.",),
        sources=(
            "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_cannot_pull_image.html",
            "https://zenn.dev/teba_eleven/articles/e54f67b897ebea",
        ),
        findings=("platform-missing", "platform-mismatch"),
    ),
    Cause(
        "windows-image-missing",
        "The image has no variant for Windows (of this version), and the engine runs Windows containers.",
        "Most images are for Linux only. Docker Desktop is switched to Windows containers, or the host is a Windows "
        "server; a Windows image must also be built for the host's Windows version.",
        "resolve",
        ("image", "host engine", "task definition"),
        words=(
            *unless(
                BUILD,
                "no matching manifest for windows/amd64",
                "no matching manifest for windows/amd64{version} in the manifest list entries",
                "no match for platform in manifest{it}windows",
            ),
        ),
        confirm=("List the platforms of the image:", "$ docker buildx imagetools inspect {image}"),
        remedy=(
            "Switch Docker Desktop to Linux containers, set operatingSystemFamily to LINUX, or use a Windows image.",
        ),
        prevention=("Write the platform into the task definition (runtimePlatform).",),
        sources=(
            "https://docs.docker.com/desktop/setup/install/windows-install/",
            "https://learn.microsoft.com/virtualization/windowscontainers/deploy-containers/version-compatibility",
        ),
        findings=("platform-missing",),
    ),
    Cause(
        "windows-version",
        "The Windows image is for another Windows version than the host's, or for Windows on a Linux host.",
        "Windows containers need a base image of the host's Windows build (for example ltsc2022 on Windows Server "
        "2022). A Linux host pulls no Windows image at all.",
        "start",
        ("image", "task definition"),
        words=(
            "The container operating system does not match the host operating system",
            "hcs::CreateComputeSystem",
            'operating system "windows" cannot be used on this platform',
            "image operating system {os} cannot be used on this platform",
            "a Windows version {version}-based image is incompatible with a {host} host",
            "-based image is incompatible with a",
        ),
        confirm=("Compare os.version of the image with the host:", "$ docker buildx imagetools inspect {image}"),
        remedy=("Build on the base image of the host's Windows version, or set operatingSystemFamily to the image's.",),
        prevention=("Pin the base image's Windows version (ltsc2022) together with the task's platform family.",),
        sources=(
            "https://learn.microsoft.com/virtualization/windowscontainers/deploy-containers/version-compatibility",
            "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/windows_task_definitions.html",
        ),
        findings=("platform-mismatch",),
    ),
    Cause(
        "layer-limit",
        "The image has more layers than the engine can stack.",
        "Docker's classic store takes 125 layers, and a mount takes fewer than 500. Each RUN, COPY and ADD makes one, "
        "on top of those of the base image.",
        "unpack",
        ("image",),
        words=(
            "max depth exceeded",
            "mount options is too long",
            Words("failed to mount /tmp/containerd-mount{it}: invalid argument"),
        ),
        confirm=_CHECK,
        remedy=("Join RUN and COPY steps, or copy the result into a new last stage, and push under a new tag.",),
        prevention=('Require a number of layers: require=["max-layers:100"].',),
        sources=("https://github.com/moby/moby/blob/master/layer/layer_store.go",),
        findings=("too-many-layers", "layers-not-mountable"),
    ),
    Cause(
        "manifest-invalid",
        "The registry, or a proxy before it, served something that is not the image's manifest, often an HTML page.",
        "The engine could not parse the answer as JSON. A login page of a proxy, an error page of a registry or a "
        "wrong host after the image's name gives this.",
        "resolve",
        ("registry", "network"),
        words=near(
            PULL,
            "invalid character '<' looking for beginning of value",
            "invalid character {it} looking for beginning of",
            "unexpected end of JSON input",
            "error parsing HTTP 404 response body",
            "json: cannot unmarshal",
            "parsing time {it} as {layout}: cannot parse",
        ),
        confirm=("Ask the registry for the manifest:", "$ docker buildx imagetools inspect {image}"),
        remedy=("Correct the registry's host name, or let the proxy pass the registry through.",),
        sources=("https://pkg.go.dev/encoding/json", "https://github.com/moby/moby/issues/36450"),
        findings=("config-unreadable", "manifest-unreadable", "not-an-image", "schema-1"),
    ),
    Cause(
        "config-not-read",
        "The engine cannot read the image's config or manifest: it is not valid JSON, or a field has the wrong type.",
        "A tool wrote the document by itself, such as Cmd as a string instead of a list, or a date in another form.",
        "pull",
        ("image", "build machine"),
        words=(
            "unmarshal image config",
            "get image diffIDs: json: cannot unmarshal",
            "json: cannot unmarshal {it} into Go struct field ImageConfig",
            "json: cannot unmarshal {it} into Go value of type image.Image",
            "ocimanifest: expected manifest but found index",
            "children: invalid desc",
            "could not validate layer digest",
        ),
        confirm=_CHECK,
        remedy=("Build again with another tool or version, and push under a new tag.",),
        prevention=("Check the image in the pipeline, before the push.",),
        sources=("https://github.com/opencontainers/image-spec/blob/main/config.md",),
        findings=(
            "config-unreadable",
            "manifest-unreadable",
            "not-an-image",
            "index-descriptor-type",
            "layer-descriptor-invalid",
        ),
    ),
    Cause(
        "json-not-read",
        "A program could not read a JSON document. In a pull, that is the image's manifest or config.",
        "The text does not say which document it is. A registry or a proxy that answers with a page instead of JSON "
        "gives this too.",
        "pull",
        ("unknown", "image", "registry"),
        words=(
            "invalid character {it} looking for beginning of",
            "failed to check image {digest}: manifest: invalid desc",
            "invalid character {it} in literal",
            "invalid character {it} after",
            "unexpected end of JSON input",
            "json: cannot unmarshal {it} into Go",
            "parsing time {it} as {layout}: cannot parse",
        ),
        confirm=_CHECK,
        remedy=("Find out which document it is: give the lines around this one to safe-image explain.",),
        sources=("https://pkg.go.dev/encoding/json",),
        findings=("config-unreadable", "manifest-unreadable", "not-an-image", "schema-1"),
        specificity="frame",
    ),
)
