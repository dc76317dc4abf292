"""The thin shell around the cores: Flink's process functions, state, timers and processes."""
