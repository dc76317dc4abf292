"""What runs in the workers: pure cores, and one package (``runtime``) that knows Flink."""
