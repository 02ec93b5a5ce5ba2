"""An example of cdk-safe-image: two services on Fargate, each with an image that its deploy verifies."""
