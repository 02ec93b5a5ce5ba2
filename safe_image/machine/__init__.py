"""This machine: Docker and its images, the tools that build, their diagnosis, and the fixes that are run on it."""
