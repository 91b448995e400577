"""What the tests share: servers, workers, commands, tables, and how to wait for something.

Fixtures stand beside the class that they give; `tests/conftest.py` names the modules that have any.
"""
