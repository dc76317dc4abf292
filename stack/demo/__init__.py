"""The demo: a simulated shop through the whole system, with a rule that changes on the way."""
