"""From a source to a published release of a table."""
