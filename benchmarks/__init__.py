"""Benchmarks: the job beside a Flink CEP job, latency under load, and where the time goes."""
