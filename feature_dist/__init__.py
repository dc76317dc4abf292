"""Feature tables: publisher and subscriber."""
