"""Clients of other products, as their registry has them, each sending what `test_real_clients` counts.

Run as a process of its own, since they patch libraries, start threads that live as long as the process, and warn:
``python -m tests.integration.dialects.drivers TIMES KEY NAME=URL…``. TIMES multiplies what is sent. Prints as JSON
what each has to say.
"""

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

CUSTOMER = "all-clients"
"""A customer that no other test of the same stack has."""
CALLS, LAGO_CALLS, SIGNALS, METERS, BATCH = 50, 250, 1000, 50, 100
"""Calls of the model through each middleware; calls that lago-agent-sdk meters, four events each; Paid's signals;
Stripe's meter events."""
LAGO_BUFFERED = 2000
"""Calls after which lago-agent-sdk must have sent everything: it drops the oldest beyond 10,000 events."""
STOPPED = "stopped"
"""An agent with a hard budget of nothing."""
PROMPT, CACHED, ANSWER, REASONING = 2006, 1920, 300, 192
"""What the provider says that a call used: cached is part of the prompt, reasoning of the answer."""
_numbers = count(1)


def lago_agent(url: str, key: str, times: int) -> Any:
    """Token events of model calls, batched by the SDK."""
    from lago_agent_sdk import CanonicalUsage, LagoSDK

    sdk = LagoSDK(key, api_url=f"{url}/lago/api/v1", default_subscription_id=CUSTOMER)
    for number in range(1, LAGO_CALLS * times + 1):
        usage = CanonicalUsage(input=number, output=2 * number, cache_read=3, cache_write=4, cache_write_5m=4)
        usage.model, usage.provider, usage.api = "claude-sonnet-4", "anthropic", "messages"
        sdk.emit(usage)
        if number % LAGO_BUFFERED == 0:
            assert sdk.flush(60)
    flushed = sdk.flush(60)
    sdk.shutdown()
    return flushed


def paid(url: str, key: str, times: int) -> Any:
    """Signals in bulk, then the last hundred of them again."""
    from paid import Paid
    from paid.types import CustomerByExternalId, ProductByExternalId, Signal

    client = Paid(token=key, base_url=f"{url}/paid/api/v2")

    def signal(number: int) -> Signal:
        return Signal(
            event_name="signal",
            customer=CustomerByExternalId(external_customer_id=CUSTOMER),
            attribution=ProductByExternalId(external_product_id="bot"),
            timestamp=datetime.now(UTC),
            data={"tokens": number},
            idempotency_key=f"signal-{number}",
        )

    signals = [signal(number) for number in range(SIGNALS * times)]
    for start in range(0, SIGNALS * times, BATCH):
        client.signals.create_signals(signals=signals[start : start + BATCH])
    again = client.signals.create_signals(signals=signals[-BATCH:])
    return [again.ingested, again.duplicates]


def stripe(url: str, key: str, times: int) -> Any:
    """Meter events one by one over v1, the last one again, and one over v2."""
    import stripe

    addresses: Any = {"api": f"{url}/stripe", "meter_events": f"{url}/stripe"}

    def client() -> stripe.StripeClient:
        return stripe.StripeClient(f"sk_test_{key}", base_addresses=addresses, max_network_retries=3)

    def send(numbers: range) -> None:
        mine = client()
        for number in numbers:
            payload = {"stripe_customer_id": CUSTOMER, "value": str(number)}
            mine.v1.billing.meter_events.create(
                {"event_name": "seats", "payload": payload, "identifier": f"seats-{number}"}
            )

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(send, [range(start, METERS * times, 4) for start in range(4)]))
    send(range(METERS * times - 1, METERS * times))
    payload = {"stripe_customer_id": CUSTOMER, "value": "7"}
    second = client().v2.billing.meter_events.create({"event_name": "seats", "payload": payload, "identifier": "v2"})
    return second.identifier


def revenium(url: str, key: str, times: int) -> Any:
    """OpenAI's client behind Revenium's middleware, also of an agent whose budget is used up, which does not get
    through; the metering client; a job whose outcome changes."""
    os.environ.update(
        REVENIUM_METERING_BASE_URL=url,
        REVENIUM_METERING_API_KEY=f"rev_{key}",
        REVENIUM_WRITE_API_KEY=f"rev_sk_{key}",
        REVENIUM_TEAM_ID="team",
        REVENIUM_CIRCUIT_BREAKER_ENABLED="true",
        REVENIUM_LOG_LEVEL="CRITICAL",
    )
    import openai
    import revenium_middleware.openai  # noqa: F401 - patches openai
    from revenium_middleware import JobContext
    from revenium_middleware._core import BudgetExceededError, flush_metering, stop_polling
    from revenium_middleware._metering import ReveniumMetering

    usage: Any = {"organization_name": CUSTOMER, "agent": "copilot", "task_type": "reply", "agentic_job_id": "job-1"}
    with provider() as address:
        client = openai.OpenAI(base_url=address, api_key="x")
        for _ in range(CALLS * times):
            client.chat.completions.create(**_question(), usage_metadata=usage)
        left = flush_metering(60)
        blocked = False
        try:
            client.chat.completions.create(**_question(), usage_metadata={**usage, "agent": STOPPED})
        except BudgetExceededError:
            blocked = True
        stop_polling()
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    direct = ReveniumMetering(api_key=f"rev_{key}", base_url=url)
    image: Any = {"model": "dall-e-3", "provider": "OPENAI", "request_time": now, "response_time": now}
    for number in range(10):
        image |= {"transaction_id": f"image-{number}", "requested_image_count": 3, "actual_image_count": 2}
        direct.ai.create_image(**image, request_duration=9)
    job = JobContext.attach("job-1", profitstream_base_url=url, retry_initial_seconds=0.1)
    job.report_outcome("SUCCESS", outcome_type="CONVERTED", outcome_value=49.9, outcome_currency="USD")
    amended = job.amend_outcome(outcome_value=60, reason="upsell")
    return [left, blocked, job.entity_version, amended["outcomeUpdateCount"]]


def genai(url: str, key: str, times: int) -> Any:
    """OpenAI's client behind OpenTelemetry's instrumentation, agents around, exported as gzipped protobuf."""
    import openai
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    exporter = OTLPSpanExporter(
        endpoint=f"{url}/otlp/v1/traces",
        headers={"authorization": f"Bearer {key}"},
        compression=Compression.Gzip,
    )
    traces = TracerProvider(resource=Resource.create({"service.name": "bot", "rev.customer.id": CUSTOMER}))
    traces.add_span_processor(BatchSpanProcessor(exporter, max_export_batch_size=100))
    OpenAIInstrumentor().instrument(tracer_provider=traces)
    tracer = traces.get_tracer("app")
    agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "helper"}
    with provider() as address:
        client = openai.OpenAI(base_url=address, api_key="x")
        for _ in range(CALLS * times):
            with tracer.start_as_current_span("invoke_agent helper", attributes=agent):
                client.chat.completions.create(**_question())
    traces.shutdown()
    OpenAIInstrumentor().uninstrument()
    return None


def _question() -> Any:
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": "SECRET PROMPT"}]}


@contextmanager
def provider() -> Iterator[str]:
    """A stand-in for the provider of the model: its address while it runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Provider)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        usage = {
            "prompt_tokens": PROMPT,
            "completion_tokens": ANSWER,
            "total_tokens": PROMPT + ANSWER,
            "prompt_tokens_details": {"cached_tokens": CACHED},
            "completion_tokens_details": {"reasoning_tokens": REASONING},
        }
        choice = {"index": 0, "message": {"role": "assistant", "content": "SECRET ANSWER"}, "finish_reason": "stop"}
        answer = {"id": f"chatcmpl-{next(_numbers)}", "object": "chat.completion", "created": 1777204740}
        body = json.dumps({**answer, "model": "gpt-4o-2024-08-06", "choices": [choice], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


DRIVERS: dict[str, Callable[[str, str, int], Any]] = {
    driver.__name__: driver for driver in (lago_agent, paid, stripe, revenium, genai)
}


def main() -> None:
    """Run the named clients, one after the other."""
    times, key, *named = sys.argv[1:]
    pairs = [one.split("=", 1) for one in named]
    print(json.dumps({name: DRIVERS[name](url, key, int(times)) for name, url in pairs}))


if __name__ == "__main__":
    main()
