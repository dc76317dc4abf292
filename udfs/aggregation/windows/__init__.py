"""Windows without raw entries, one kind a file; `udfs.aggregation.sliding` is the other kind."""
