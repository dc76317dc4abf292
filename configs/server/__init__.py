"""A config server for development that speaks Apollo's protocol; releases live in one directory.

Modules: ``names`` (what may be called how), ``journal`` (the file), ``store`` (apps, items,
releases), ``bell`` (held polls), ``wire`` (JSON and errors as Apollo writes them), ``reading``
(the config service), ``admin`` (the admin service), ``app`` (all of it as one ASGI app).
"""
