"""One thin module for each event that starts a verification in AWS."""
