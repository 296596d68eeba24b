"""The default prices of a new log, in cents (docs/api.md, "Which price").

They enter the log once, as a Genesis command; changing this table does not change existing prices.
"""

from schemas.commands import Rates, SeedPrice

DEFAULTS = [
    SeedPrice(action, Rates(base, token, bonus))
    for action, base, token, bonus in [
        ("chat", "0.1", "0.0001", "0.05"),
        ("completion", "0.5", "0.0003", "0.25"),
        ("tool_call", "1", "0.0002", "0.5"),
        ("embedding", "0.05", "0.00005", "0"),
        ("image_gen", "5", "0", "1"),
        ("search", "0.25", "0", "0.1"),
        ("email.sent", "1", "0", "500"),
        ("lead.qualified", "1", "0.00001", "500"),
        ("ticket.classified", "5", "0", "0"),
        ("research.complete", "0", "0.0003", "0"),
    ]
]
