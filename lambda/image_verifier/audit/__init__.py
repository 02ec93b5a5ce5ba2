"""Whole ECR repositories, a hundred images in a call: for `safe-image audit` in a terminal, and for sweeps in Lambdas.

repository.py        one repository, and the list of all of a registry
batches.py           ECR's answers for a hundred images or layers in one call
repository_audit.py  the images of a repository, each verified as `check` verifies one
row.py               the row of one image, as the JSON report has it
s3_objects.py        objects of S3, read whole and listed
sweep_summary.py     the summary of a sweep, and where its files lie
totals.py            the totals of rows
audit_page.py        the HTML page, the same from a terminal and from a Lambda
"""
