"""Statements and invoices as PDF. Pure: the same document gives the same bytes, on every machine and at any time.

- ``layout`` lays a document out on pages of A4.
- ``fonts`` finds a font that has a text's characters.
"""
