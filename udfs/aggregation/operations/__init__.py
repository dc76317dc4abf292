"""The functions, one operation a file; see `udfs.aggregation.operations.operation`."""
