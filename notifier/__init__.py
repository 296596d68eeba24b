"""Signed webhook fan-out with durable retries."""
