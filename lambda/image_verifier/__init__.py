"""Decides whether a container image can be pulled and started where it is meant to run.

Standard library and boto3 only: this package is the Lambda's code, and the command line and the tests import
the same one.
"""

__version__ = "0.1.0"
