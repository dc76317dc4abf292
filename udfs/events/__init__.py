"""The standard event, its codecs, its clocks, and what becomes of records that are none."""
