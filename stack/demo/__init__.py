"""The demo: a simulated shop; a rule, a table and a model change while it runs."""
