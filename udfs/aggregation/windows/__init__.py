"""Windows that need no raw entries, one kind a file; sliding ones are `udfs.aggregation.sliding`."""
