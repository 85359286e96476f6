"""The family of failures that nbagent exists to make impossible: one regression test each, by its name.

`make lifecycle` runs the folder 50 times in a row. Every test must leave nothing behind (`conftest.nothing_left`).
"""
