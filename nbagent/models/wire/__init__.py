"""The one door to pydantic-ai, whose model classes speak the providers' languages; only here it is imported.

`clients` builds its models, `history` translates what is said to it, `answers` what it says, `failures` what it
raises. Used by `provided`, which imports this package at the first request. It guarantees: what comes out are nbagent's
own chunks and `ModelError` alone, and leaving an answer closes its connection.
"""
