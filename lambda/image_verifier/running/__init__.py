"""The images that an account runs: the only reader of ECS and Lambda."""
