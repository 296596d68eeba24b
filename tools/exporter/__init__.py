"""`rev export`: a month's entries, invoices, lines and journal as files, with a manifest of their hashes.

- ``postings`` makes double-entry postings of invoices, ``credit_postings`` of prepaid credit that was paid for; pure.
- ``paid_grants`` reads what the latter is of.
- ``tables`` has the columns of files, and their exact cells; pure.
- ``destinations`` and ``bucket`` write files to a directory or to S3, each as a whole.
- ``manifest`` says which files are there and what is in each, so that a cut leaves none half.
- ``command`` reads the ledger and a gateway.
"""
