"""The ways to an image: references and their targets, registries, archives, layouts, cloud assemblies, AWS sessions.

targets.py             a reference of the command line, and the target that it stands for
aws_sessions.py        sessions and clients of AWS, for images in ECR
cloud_assembly.py      the images that `cdk synth` leaves for CDK to publish
registry_image.py      an image in any registry, over distribution.py, connections.py and docker_credentials.py
bare_names.py          a name without a registry, and the local things that may be meant instead
local_images.py        images that are not in a registry, by the prefix of their path_references.py:
oci_layout.py          an image in an OCI image layout
docker_archive.py      an image that `docker save` has written, as docker_push.py and docker_index.py push it
docker_daemon.py       an image of the local Docker, over docker_api.py
archive.py             the files of a tar, over tar_index.py, compressed_files.py and regular_files.py
"""
