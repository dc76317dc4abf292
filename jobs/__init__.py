"""Entry points for ``flink run``: arguments, topology, nothing else."""
