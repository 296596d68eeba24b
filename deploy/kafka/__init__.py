"""The embedded Kafka: Apache's own jars, one KRaft node on the loopback address.

Nothing of Rev's services or topics may come in here; `deploy.bootstrap` creates those.
"""
