"""The engine's configuration: small caches and pools, durable inserts, and the two roles.

Every handle of chDB is the user ``default``. That user has no rights of its own but two roles, so
``SET ROLE analyst`` leaves a handle with only an analyst's grants (engine.py).
"""

from pathlib import Path

DATABASE = "rev"
"""The one database that analysts may read."""
MEMORY = 800 << 20
"""Bytes that all queries and merges together may use; the engine refuses more."""

_CACHES = {
    "mark_cache_size": 32 << 20,
    "index_mark_cache_size": 8 << 20,
    "primary_index_cache_size": 16 << 20,
    "uncompressed_cache_size": 0,
    "index_uncompressed_cache_size": 0,
    "query_condition_cache_size": 8 << 20,
    "compiled_expression_cache_size": 16 << 20,
    "vector_similarity_index_cache_size": 1 << 20,
    "text_index_tokens_cache_size": 1 << 20,
    "text_index_header_cache_size": 1 << 20,
    "text_index_postings_cache_size": 1 << 20,
    "parquet_metadata_cache_size": 1 << 20,
    "iceberg_metadata_files_cache_size": 1 << 20,
}
# An idle engine should cost almost nothing: few background threads, rare housekeeping.
_POOLS = {
    "background_pool_size": 2,
    "background_merges_mutations_concurrency_ratio": 2,
    "background_schedule_pool_size": 2,
    "background_common_pool_size": 1,
    "background_fetches_pool_size": 1,
    "background_move_pool_size": 1,
    "max_thread_pool_size": 200,
    "max_thread_pool_free_size": 16,
    "asynchronous_metrics_update_period_s": 60,
    "asynchronous_heavy_metrics_update_period_s": 3600,
    "disable_internal_dns_cache": 1,
}
_MERGE_TREE = {
    # Parts that a merge has replaced stay for as long as the server keeps them: 0, which an
    # embedded engine has by default, may delete what a restart still needs.
    "old_parts_lifetime": 480,
    "fsync_after_insert": 1,
    "fsync_part_directory": 1,
    "min_rows_to_fsync_after_merge": 1,
    "number_of_free_entries_in_pool_to_execute_mutation": 1,
    "number_of_free_entries_in_pool_to_lower_max_size_of_merge": 1,
    "number_of_free_entries_in_pool_to_execute_optimize_entire_partition": 1,
    "merge_selecting_sleep_ms": 5000,
    # Smaller parts keep all columns in one file. A part with a file for each column costs an INSERT 140 ms more; one
    # block of 40,000 entries, or a merge of ten small ones, would reach the engine's 10 MB (docs/decisions/0056).
    "min_bytes_for_wide_part": 100 << 20,
}
_PROFILE = {
    "log_queries": 0,
    "memory_profiler_step": 0,
    "query_profiler_real_time_period_ns": 0,
    "query_profiler_cpu_time_period_ns": 0,
    # One, so that what pages read again and again leaves a core to events. A query may ask for more; by default it
    # would get one for each GiB that is free, and an engine this small has none.
    "max_threads": 1,
    "max_threads_min_free_memory_per_thread": 0,
    "max_insert_threads": 1,
    # What a merge holds of each projection that it builds before it writes it away; 256 MiB each would be more than the
    # engine has. The ledger's INSERTs, which must be one part, say so themselves.
    "min_insert_block_size_bytes": 8 << 20,
    "use_uncompressed_cache": 0,
}
WRITER = ("GRANT ALL ON *.*",)
ANALYST = (f"GRANT SELECT ON {DATABASE}.*", f"REVOKE SELECT ON {DATABASE}._*")


def write(directory: Path) -> Path:
    """Write config.xml and users.xml into ``directory``; return the path of the first."""
    users = directory / "users.xml"
    users.write_text(_users())
    config = directory / "config.xml"
    limit = {"max_server_memory_usage": MEMORY}
    body = _elements({**limit, **_CACHES, **_POOLS}) + f"<merge_tree>{_elements(_MERGE_TREE)}</merge_tree>"
    config.write_text(f"<clickhouse><users_config>{users.absolute()}</users_config>{body}</clickhouse>\n")
    return config


def _elements(values: dict[str, int]) -> str:
    return "".join(f"<{name}>{value}</{name}>" for name, value in values.items())


def _grants(statements: tuple[str, ...]) -> str:
    return "<grants>" + "".join(f"<query>{statement}</query>" for statement in statements) + "</grants>"


def _users() -> str:
    roles = f"<writer>{_grants(WRITER)}</writer><analyst>{_grants(ANALYST)}</analyst>"
    default = "<password/><networks><ip>::1</ip><ip>127.0.0.1</ip></networks><profile>default</profile>"
    default += _grants(("GRANT writer", "GRANT analyst"))
    return (
        f"<clickhouse><profiles><default>{_elements(_PROFILE)}</default></profiles><quotas><default/></quotas>"
        f"<roles>{roles}</roles><users><default>{default}</default></users></clickhouse>\n"
    )
