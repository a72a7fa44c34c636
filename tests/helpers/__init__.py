"""What several test files start from; on the path by setup.cfg, fixtures by conftest.py."""
