"""A worker's side: fetch, verify, take in, look up."""
