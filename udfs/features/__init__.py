"""Features by name: where each comes from, and its value for a subject."""
