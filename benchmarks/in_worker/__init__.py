"""What the benchmark of swaps sends to the worker beside the job; needs nothing else of here."""
