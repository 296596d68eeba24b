"""The version, for the package and its User-Agent; pyproject.toml has the same."""

__version__ = "0.1.0"
