"""The program of the image: it lies beside the packages as `__main__.py`."""

import sys

from safe_image.cli import main

sys.exit(main())
