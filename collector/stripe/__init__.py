"""Invoices in Stripe, so that Stripe collects them.

- ``items`` makes whole cents of an invoice's exact lines; pure.
- ``requests`` says what is sent to Stripe, under which idempotency keys; pure.
- ``calls`` says what can become of a request.
- ``stripe_customers`` says which customer of Stripe one of Rev is.
- ``pushing`` brings one invoice to Stripe, from wherever an earlier attempt ended.
- ``pusher`` goes through all invoices, records how far each is, and tries again.
- ``senders`` are the modes: to Stripe, or to files that say what would be sent.
- ``client`` is Stripe's own client; ``modes`` chooses by the settings.
- ``meter_pusher`` brings usage to Stripe's meters; ``meter_lines`` says what an interval adds (pure),
  ``meter_customers`` to whom, ``meter_sending`` sends it once, over one of the ``meter_apis``.
- ``webhook`` checks what Stripe reports, and says what it means for an invoice; pure.
- ``dropped_events`` reads what Stripe reports of usage that it dropped; pure.
- ``reconciling`` compares ledger, invoices and Stripe line by line, ``meter_reconciling`` usage hour by hour.
- ``stripe_api`` is the HTTP interface for gateways.
"""
