"""ClickHouse, as streams/ is Kafka: client, migrations, the columns of rev.entries and the queries that read it."""
