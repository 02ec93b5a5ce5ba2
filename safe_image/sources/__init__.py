"""The ways to an image: references and their targets, registries, archives, layouts, cloud assemblies, AWS sessions.

targets.py             a reference of the command line, and the target that it stands for
aws_sessions.py        sessions and clients of AWS, for images in ECR
cloud_assembly.py      the images that `cdk synth` leaves for CDK to publish
registry_image.py      an image in any registry, over distribution.py, connections.py and docker_credentials.py
oci_layout.py          an image in an OCI image layout
docker_archive.py      an image that `docker save` has written, in an archive.py
"""
