"""Models on a worker: what they read, how they are fetched, checked and run."""
