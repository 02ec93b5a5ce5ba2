"""The images of a registry, verified when they are pushed: settings, pushes, verdicts, consequences of a refusal."""
