"""Docker, containerd and base images from Debian's packages, which are unpacked and run without installation."""
