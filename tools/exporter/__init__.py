"""`rev export`: a month's entries, invoices, lines and journal as files, with a manifest of their hashes.

- ``postings`` makes double-entry postings of invoices; pure.
- ``manifest`` says which files are there, what is in each, and writes them so that a cut leaves none half.
- ``command`` reads the ledger and a gateway.
"""
