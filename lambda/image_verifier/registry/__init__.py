"""The images of a registry, verified when they are pushed: settings, events, verdicts, and what follows a refusal."""
