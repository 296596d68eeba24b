"""Embedded Kafka and ClickHouse, the supervisor, the command line, cluster manifests."""
