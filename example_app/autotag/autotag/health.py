"""`python -m autotag.health`: the container's health check. Exits 0 if the service answers."""

import os
import urllib.request

urllib.request.urlopen(f"http://127.0.0.1:{os.environ.get('PORT', '8080')}/health", timeout=3).close()
