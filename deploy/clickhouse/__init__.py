"""The embedded ClickHouse: a daemon that owns a chDB directory and speaks ClickHouse's HTTP
protocol on the loopback address, so that services need not know whether a cluster answers.

Of Rev's tables and services it knows only the name of the database that analysts may read.
Other processes talk HTTP to it and never import it.
"""
