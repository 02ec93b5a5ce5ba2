"""Docker, containerd and base images from Debian's packages, unpacked in a folder and run without installing them."""
