"""Access to ClickHouse, as streams/ is to Kafka: client, migrations, the columns of rev.entries and its queries."""
