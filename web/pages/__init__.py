"""The pages and other routes of `rev web`: each module has ``routes()``."""
