"""Many images at once: whole ECR repositories, asked a hundred images in a call, and who uses which of them.

repositories.py  which repositories are meant
batches.py       what ECR says of a hundred images or layers, in one call
sweep.py         every tagged image of a repository, judged as `check` judges one
in_use.py        which images ECS and Lambda refer to
state.py         what was judged, on disk: a run that was killed goes on where it stopped
rows.py          the images' rows, those in use first
progress.py      how far it is
"""
