"""Refuses an aws-cdk-lib that is too old: the name that is missing in it would not say which version is required.

pip keeps such a version out, unless another package or a lock file puts it back.
"""

from __future__ import annotations

from typing import Final

import aws_cdk

OLDEST: Final = "2.196.0"

# The newest name that the constructs use. 2.196.0 introduced it.
if not hasattr(aws_cdk, "IPropertyInjector"):
    # Imported here, since nearly every app has a version that is new enough.
    from importlib.metadata import version

    raise ImportError(
        f"cdk-safe-image requires aws-cdk-lib {OLDEST} or later, but {version('aws-cdk-lib')} is installed: "
        "run pip install --upgrade aws-cdk-lib"
    )
