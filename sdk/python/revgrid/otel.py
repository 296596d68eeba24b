"""For programs with OpenTelemetry: every span says whose it is, also when its agent's span is exported later.

A span is exported when it ends, so an agent's span comes after the calls that it made, often in a later request.
:class:`AgentSpanProcessor` copies agent and customer to each span as it begins, from the span around it:

    from opentelemetry.trace import get_current_span
    provider.add_span_processor(AgentSpanProcessor(get_current_span))
"""

from __future__ import annotations

from typing import Any, Callable, Optional

AGENT = ("rev.agent.id", "gen_ai.agent.id", "gen_ai.agent.name", "agent.name")
"""Attributes by which a span names its agent."""
CUSTOMER = ("rev.customer.id", "revenium.organization.name", "external_customer_id")
"""Attributes by which a span names its customer."""


class AgentSpanProcessor:
    """A span processor: a span that does not name its agent or customer gets those of the span around it.

    It reads what the span around it says at that moment, so an agent's span must be named when it is started, as the
    GenAI conventions ask for. Spans of other processes are not seen; set the resource or baggage there.
    ``current_span``: ``opentelemetry.trace.get_current_span``.
    """

    def __init__(self, current_span: Callable[[Any], Any]) -> None:
        self._current_span = current_span

    def on_start(self, span: Any, parent_context: Optional[Any] = None) -> None:
        """Copy the attributes; nothing if there is no span around it in this process."""
        around = getattr(self._current_span(parent_context), "attributes", None)
        if not around:
            return
        own = getattr(span, "attributes", None) or {}
        for names in (AGENT, CUSTOMER):
            if not any(own.get(name) for name in names):
                for name in names:
                    if around.get(name):
                        span.set_attribute(name, around[name])

    def _on_ending(self, span: Any) -> None:
        """Do nothing; newer versions of OpenTelemetry call it."""

    def on_end(self, span: Any) -> None:
        """Do nothing."""

    def shutdown(self) -> None:
        """Do nothing: nothing is held."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Return True: nothing is held."""
        return True
