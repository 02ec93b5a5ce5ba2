"""Answers every event with a line of text."""


def handler(event: object, context: object) -> str:
    return "I was pulled, and I have started."
