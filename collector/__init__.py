"""The collector: invoices and credit notes from the ledger, written to rev.invoices.

- ``invoicing`` closes a month for one customer and says what may become of an invoice; pure.
- ``book`` holds what rev.invoices holds; pure.
- ``closer`` goes from month to month: what to do next, in which transactions.
- ``invoice_log`` writes the transactions, as the only owner of the topic.
- ``notices`` tells the customers' shards what became of invoices, for webhooks.
- ``stripe`` brings invoices to Stripe, and payments back.
- ``worker`` and ``service`` run it; ``invoice_api`` is its HTTP interface for gateways.
"""
