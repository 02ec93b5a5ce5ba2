"""The tables that a verdict follows: findings, remedies, engines, runtimes, requirements."""
