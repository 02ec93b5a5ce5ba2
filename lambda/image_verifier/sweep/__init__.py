"""A sweep over a registry, in three steps that Step Functions calls: list the images, verify each batch, sum up.

settings.py  what the construct decides
bucket.py    objects in the bucket: whole, line by line, or written in parts
store.py     the objects of one sweep
plan.py      step 1: the repositories, their images and the batches
batch.py     step 2: the verdicts of one batch
summary.py   step 3: the summary of all batches
changes.py   what is new since the sweep before, and what is gone
notice.py    the message about a sweep, and its metrics
"""
