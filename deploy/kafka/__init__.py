"""The embedded Kafka: Apache's own jars, one KRaft node on the loopback address.

This package does not depend on Rev's services or topics; `deploy.bootstrap` creates those.
"""
