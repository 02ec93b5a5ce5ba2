"""The images of a registry, verified when they are pushed: settings, pushes, verdicts, and the consequences of a refusal."""
