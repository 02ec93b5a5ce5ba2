"""Incidents, read from AWS itself: a service, a task, a function or a stack, its errors and its images."""
