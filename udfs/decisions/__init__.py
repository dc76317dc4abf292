"""From events to decisions: flows, the state of a subject, and the work of one shard."""
