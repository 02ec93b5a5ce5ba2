"""Plain text for terminals and logs: the page, and findings and faults in lines."""
