"""rev.entries into ClickHouse, exactly once; numbered migrations and named queries (.sql)."""
