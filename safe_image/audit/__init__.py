"""The command line's audit of whole ECR repositories, and the images that ECS and Lambda use.

The images of a repository are verified by `image_verifier.audit`.

repositories.py    the repositories of the command line
state.py           the rows on disk, so that a run that was killed can resume
rows.py            the rows of an audit, images in use first
sweep_files.py     the files of a sweep that ran in AWS
row_spool.py       the rows of a sweep on disk
audit_progress.py  the progress on standard error
"""
