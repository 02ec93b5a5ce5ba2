"""Images that are not in ECR, and the AWS sessions that ECR is asked with."""
