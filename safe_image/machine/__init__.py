"""What is installed on this machine: Docker, its images, the tools; and the fixes that are run on it."""
