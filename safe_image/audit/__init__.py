"""The audit of whole ECR repositories, a hundred images in a call, and the images that ECS and Lambda use.

repositories.py    the repositories of the command line
batches.py         ECR's answers for a hundred images or layers in one call
sweep.py           every tagged image of a repository, verified as `check` verifies one
in_use.py          the images that ECS and Lambda reference
state.py           the rows on disk, so that a run that was killed can resume
rows.py            the rows of an audit, images in use first
audit_progress.py  the progress on standard error
"""
