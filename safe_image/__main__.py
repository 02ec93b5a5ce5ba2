"""`python -m safe_image`."""

import sys

from .cli import main

sys.exit(main())
