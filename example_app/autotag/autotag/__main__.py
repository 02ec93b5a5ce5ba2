"""`python -m autotag`: serve on $PORT."""

import os

from autotag.server import serve

serve(int(os.environ.get("PORT", "8080")))
