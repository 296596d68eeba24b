"""Bodies as the real clients send them, and the events of POST /v1/meter that they become.

Captured in November 2026 from revenium-python-sdk 0.12.0, openmeter 1.0.0b236, lago-python-client 1.55.0,
lago-agent-sdk 0.3.1, stripe 16.1.0, paid-python 1.12.0, and OpenTelemetry's OTLP exporter 1.45.2 behind
opentelemetry-instrumentation-genai-openai 1.3b0 and openinference-instrumentation-openai 0.1.66; litellm 1.110.2 (its
table of models left out) and langfuse 5.0.4. Ids, names and times are replaced. captures/ holds what is long or binary.
"""

import gzip
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple


class Golden(NamedTuple):
    """A request of a client, the meter events that it is, and the response that the client reads."""

    name: str
    path: str
    body: bytes
    events: list[dict[str, Any]]
    status: int
    response: Any
    headers: Mapping[str, str] = MappingProxyType({})
    not_counted: Mapping[str, int] = MappingProxyType({})

    @property
    def inflated(self) -> bytes:
        """The body as a dialect gets it."""
        return gzip.decompress(self.body) if "Content-Encoding" in self.headers else self.body


AT = "2026-04-26T11:59:00.000Z"
OPENMETER = "/openmeter/api/v1/events"
CLOUD_EVENT = (
    b'{"id": "5c10fade-1c9e-4d6c-8275-c52c36731d3c", "source": "app-server", "specversion": "1.0", "type":'
    b' "completion", "subject": "acme-corp", "time": "2026-04-26T11:59:00Z", "data": {"agent_id": "agent-copilot",'
    b' "tokens": 2400, "model": "gpt-4o", "path": "/hello"}}'
)
CLOUD_EVENTS = (
    b'[{"id": "1", "source": "https://app.example.com", "specversion": "1.0", "type": "completion", "subject":'
    b' "acme-corp", "data": {"tokens": "123", "type": "input"}}, {"id": "2", "source": "https://app.example.com",'
    b' "specversion": "1.0", "type": "completion", "subject": "acme-corp", "data": {"tokens": 7, "type": "other"}}]'
)
LAGO_ONE = (
    b'{"event":{"transaction_id":"tx-1","external_subscription_id":"acme-corp","code":"completion","timestamp":'
    b'"1777204740","precise_total_amount_cents":null,"properties":{"tokens":2400,"agent_id":"agent-copilot","model":'
    b'"gpt-4o","seats":3}}}'
)
LAGO_MANY = (
    b'{"events":[{"transaction_id":"tx-1","external_subscription_id":"acme-corp","code":"completion","timestamp":'
    b'"1777204740","precise_total_amount_cents":null,"properties":{"tokens":2400}},{"transaction_id":"tx-2",'
    b'"external_subscription_id":"acme-corp","code":"completion","timestamp":"1777204740.123",'
    b'"precise_total_amount_cents":null,"properties":null}]}'
)
LAGO_AGENT = (
    b'{"events": [{"transaction_id": "6739a296", "external_subscription_id": "acme-corp", "code": "llm_input_tokens",'
    b' "timestamp": 1777204740, "properties": {"value": "1200", "model": "claude-sonnet-4", "provider": "anthropic",'
    b' "api": "messages"}}, {"transaction_id": "22abcce5", "external_subscription_id": "acme-corp", "code":'
    b' "llm_cache_creation_tokens", "timestamp": 1777204740, "properties": {"value": "100", "model": "claude-sonnet-4",'
    b' "provider": "anthropic", "api": "messages"}}, {"transaction_id": "be94d0a6", "external_subscription_id":'
    b' "acme-corp", "code": "llm_cache_write_5m_tokens", "timestamp": 1777204740, "properties": {"value": "100",'
    b' "model": "claude-sonnet-4", "provider": "anthropic", "api": "messages"}}, {"transaction_id": "6b36c96e",'
    b' "external_subscription_id": "acme-corp", "code": "llm_tool_calls", "timestamp": 1777204740, "properties":'
    b' {"value": "2", "model": "claude-sonnet-4", "provider": "anthropic", "api": "messages"}}]}'
)
STRIPE_V1 = (
    b"event_name=completion&payload[stripe_customer_id]=acme-corp&payload[value]=25&payload[agent_id]=agent-copilot"
    b"&identifier=idmp_1&timestamp=1777204740"
)
STRIPE_V2 = (
    b'{"event_name": "completion", "payload": {"stripe_customer_id": "acme-corp", "value": "25"}, "identifier":'
    b' "idmp_2", "timestamp": "2026-04-26T11:59:00Z"}'
)
SIGNALS = (
    b'{"signals":[{"eventName":"completion","customer":{"externalCustomerId":"acme-corp"},"attribution":'
    b'{"externalProductId":"agent-copilot"},"timestamp":"2026-04-26T11:59:00Z","data":{"tokens":2400,"model":"gpt-4o"},'
    b'"idempotencyKey":"sig-1"}]}'
)
COSTS = (
    b'{"costs":[{"type":"usage","timestamp":"2026-04-26T11:59:00Z","customer":{"externalCustomerId":"acme-corp"},'
    b'"product":{"externalProductId":"agent-copilot"},"metadata":{"k":"v"},"vendor":"openai","model":"gpt-4o","usage":'
    b'{"inputTokens":1200,"outputTokens":340,"cacheReadInputTokens":800,"reasoningOutputTokens":60}},{"type":"cost",'
    b'"customer":{"externalCustomerId":"acme-corp"},"amount":0.12,"currency":"USD","vendor":"openai","model":"gpt-4o"}]}'
)
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ACME = {"customer_id": "acme-corp"}
CLAUDE = {"model": "claude-sonnet-4", "provider": "anthropic", "agent_id": "lago", **ACME, "timestamp": AT}
LAGO_SHOWN = {"external_subscription_id": "acme-corp", "code": "completion"}
API = {"metadata": {"api": "messages"}}

CAPTURES = Path(__file__).parent / "captures"
TRACES = "/otlp/v1/traces"
PROTOBUF = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}
TRACE = "a0" * 16
SPLIT = {"tokens_input": 86, "tokens_output": 108, "tokens_cache_read": 1920, "tokens_reasoning": 192}
"""2006 tokens with 1920 cached, and 300 with 192 of reasoning."""
SPAN = {
    "agent_id": "asst_1",
    **ACME,
    "provider": "openai",
    "trace_id": TRACE,
    "timestamp": "2026-04-26T11:59:00.500Z",
}
CALL = {"tokens_input": 86, "tokens_cache_read": 1920, "tokens_output": 108, "tokens_reasoning": 192}
GENAI = [
    {
        **SPAN,
        **CALL,
        "action": "chat",
        "model": "gpt-4o",
        "idempotency_key": f"{TRACE}:{'a1' * 8}",
        "metadata": {"span_id": "a1" * 8, "response_model": "gpt-4o-2024-08-06"},
    },
    {
        **SPAN,
        "action": "embeddings",
        "model": "text-embedding-3-small",
        "tokens_input": 8,
        "idempotency_key": f"{TRACE}:{'a3' * 8}",
        "metadata": {"span_id": "a3" * 8, "response_model": "text-embedding-3-small"},
    },
    {
        **{name: value for name, value in SPAN.items() if name != "provider"},
        "action": "execute_tool",
        "idempotency_key": f"{TRACE}:{'a4' * 8}",
        "metadata": {"span_id": "a4" * 8, "tool": "search"},
    },
]
OPENINFERENCE = [
    {**GENAI[0], "model": "gpt-4o-2024-08-06", "metadata": {"span_id": "a1" * 8}},
    {**GENAI[1], "metadata": {"span_id": "a3" * 8}},
    GENAI[2],
]
AROUND = {"not a call of a model, an embedding or a tool": 1}

COMPLETION = (
    b'{"completionStartTime":"2026-04-26T11:59:00Z","costType":"AI","inputTokenCount":2006,"isStreamed":false,"model":'
    b'"gpt-4o-2024-08-06","outputTokenCount":300,"provider":"OPENAI","requestDuration":63,"requestTime":'
    b'"2026-04-26T11:59:00Z","responseTime":"2026-04-26T11:59:00Z","stopReason":"END","totalTokenCount":2306,'
    b'"transactionId":"chatcmpl-AAA111","agent":"agent-copilot","cacheCreationTokenCount":0,"cacheReadTokenCount":1920,'
    b'"middlewareSource":"PYTHON","modelSource":"OPENAI","operationType":"CHAT","organizationName":"acme-corp",'
    b'"productName":"copilot","reasoningTokenCount":192,"subscriber":{"id":"u1","email":"u1@example.com"},"taskType":'
    b'"completion","timeToFirstToken":62,"traceId":"tr-1","retryNumber":0,"transactionName":"completion","agenticJobId":'
    b'"job-1","systemPrompt":"SECRET","inputMessages":"SECRET","outputResponse":"SECRET"}'
)
IMAGES = (
    b'{"model":"dall-e-3","provider":"OPENAI","requestDuration":2000,"requestTime":"2026-04-26T11:59:00Z","responseTime":'
    b'"2026-04-26T11:59:02Z","transactionId":"img-1","requestedImageCount":3,"actualImageCount":2}'
)
AUDIO = (
    b'{"model":"whisper-1","provider":"OPENAI","requestDuration":2000,"requestTime":"2026-04-26T11:59:00Z",'
    b'"responseTime":"2026-04-26T11:59:02Z","transactionId":"aud-1","durationSeconds":12.5}'
)
TOOL = (
    b'{"transactionId":"tool-1","toolId":"web-search","operation":"search","durationMs":12,"success":true,"timestamp":'
    b'"2026-04-26T11:59:00Z","usageMetadata":{"value":3,"pages":4},"agent":"agent-copilot","organizationName":'
    b'"acme-corp","productName":"copilot","traceId":"tr-1","agenticJobId":"job-1"}'
)


def created(id: str) -> dict[str, Any]:
    """What Revenium's client reads."""
    at = "2026-04-26T12:00:00.000Z"
    return {"id": id, "label": id, "resourceType": "metering", "signature": "", "created": at}


REVENIUM_MEDIA = {"agent_id": "revenium", "provider": "openai", "timestamp": "2026-04-26T11:59:00Z", "metadata": {}}

GOLDEN = [
    Golden(
        "revenium, completion",
        "/meter/v2/ai/completions",
        COMPLETION,
        [
            {
                "agent_id": "agent-copilot",
                "action": "completion",
                **ACME,
                **CALL,
                "model": "gpt-4o-2024-08-06",
                "provider": "openai",
                "trace_id": "tr-1",
                "task_id": "job-1",
                "idempotency_key": "fcb94d84",
                "timestamp": "2026-04-26T11:59:00Z",
                "metadata": {"product_name": "copilot", "operation_type": "CHAT", "stop_reason": "END"},
            }
        ],
        201,
        created("chatcmpl-AAA111"),
        {"Idempotency-Key": "fcb94d84"},
    ),
    Golden(
        "revenium, images",
        "/meter/v2/ai/images",
        IMAGES,
        [
            {
                **REVENIUM_MEDIA,
                "action": "IMAGE",
                "model": "dall-e-3",
                "quantities": {"images": 2},
                "idempotency_key": "img-1",
            }
        ],
        201,
        created("img-1"),
    ),
    Golden(
        "revenium, audio",
        "/meter/v2/ai/audio",
        AUDIO,
        [
            {
                **REVENIUM_MEDIA,
                "action": "AUDIO",
                "model": "whisper-1",
                "quantities": {"audio_seconds": 12.5},
                "idempotency_key": "aud-1",
            }
        ],
        201,
        created("aud-1"),
    ),
    Golden(
        "revenium, tool",
        "/meter/v2/tool/events",
        TOOL,
        [
            {
                "agent_id": "agent-copilot",
                "action": "web-search",
                **ACME,
                "outcome": "success",
                "quantities": {"value": 3},
                "trace_id": "tr-1",
                "task_id": "job-1",
                "idempotency_key": "tool-1",
                "timestamp": "2026-04-26T11:59:00Z",
                "metadata": {"product_name": "copilot", "operation": "search"},
            }
        ],
        201,
        created("tool-1"),
    ),
    Golden(
        "revenium, event",
        "/meter/v2/events",
        b'{"transactionId":"ev-1","payload":{"tokens":"7","note":"x"},"sourceType":"AI","organizationName":"acme-corp"}',
        [
            {
                "agent_id": "revenium",
                "action": "AI",
                **ACME,
                "tokens": 7,
                "metadata": {"note": "x"},
                "idempotency_key": "ev-1",
            }
        ],
        201,
        created("ev-1"),
    ),
    Golden(
        "revenium, API request",
        "/meter/v2/apis/requests",
        b'{"transactionId":"api-1","method":"GET","resource":"/v1/x","sourceId":"shop","sourceType":"SDK_PYTHON"}',
        [{"agent_id": "shop", "action": "api.request", "idempotency_key": "api-1"}],
        201,
        created("api-1"),
    ),
    Golden(
        "revenium, API response",
        "/meter/v2/apis/responses",
        b'{"transactionId":"api-1","responseCode":200}',
        [],
        201,
        created("api-1"),
        not_counted={"the request of the same transaction is counted": 1},
    ),
    Golden(
        "otlp, GenAI conventions",
        TRACES,
        (CAPTURES / "otlp_genai.bin").read_bytes(),
        GENAI,
        200,
        b"",
        PROTOBUF,
        AROUND,
    ),
    Golden(
        "otlp, OpenInference",
        TRACES,
        (CAPTURES / "otlp_openinference.bin").read_bytes(),
        OPENINFERENCE,
        200,
        b"",
        PROTOBUF,
        AROUND,
    ),
    Golden(
        "otlp, JSON",
        TRACES,
        (CAPTURES / "otlp_genai.json").read_bytes(),
        GENAI,
        200,
        {},
        {"Content-Type": "application/json"},
        AROUND,
    ),
    Golden(
        "openmeter, one",
        OPENMETER,
        CLOUD_EVENT,
        [
            {
                "agent_id": "agent-copilot",
                "action": "completion",
                **ACME,
                "tokens": 2400,
                "model": "gpt-4o",
                "metadata": {"path": "/hello"},
                "idempotency_key": "app-server 5c10fade-1c9e-4d6c-8275-c52c36731d3c",
                "timestamp": "2026-04-26T11:59:00Z",
            }
        ],
        204,
        None,
        {"Content-Type": "application/cloudevents+json"},
    ),
    Golden(
        "openmeter, many",
        OPENMETER,
        CLOUD_EVENTS,
        [
            {
                "agent_id": "https://app.example.com",
                "action": "completion",
                **ACME,
                "tokens_input": 123,
                "idempotency_key": "https://app.example.com 1",
            },
            {
                "agent_id": "https://app.example.com",
                "action": "completion",
                **ACME,
                "tokens": 7,
                "metadata": {"type": "other"},
                "idempotency_key": "https://app.example.com 2",
            },
        ],
        204,
        None,
        {"Content-Type": "application/cloudevents-batch+json"},
    ),
    Golden(
        "lago, one",
        "/lago/api/v1/events",
        LAGO_ONE,
        [
            {
                "agent_id": "agent-copilot",
                "action": "completion",
                **ACME,
                "tokens": 2400,
                "model": "gpt-4o",
                "metadata": {"seats": 3},
                "idempotency_key": "tx-1",
                "timestamp": AT,
            }
        ],
        200,
        {
            "event": {
                **LAGO_SHOWN,
                "transaction_id": "tx-1",
                "timestamp": AT,
                "properties": {"tokens": 2400, "agent_id": "agent-copilot", "model": "gpt-4o", "seats": 3},
            }
        },
    ),
    Golden(
        "lago, many",
        "/lago/api/v1/events/batch",
        LAGO_MANY,
        [
            {
                "agent_id": "lago",
                "action": "completion",
                **ACME,
                "tokens": 2400,
                "idempotency_key": "tx-1",
                "timestamp": AT,
            },
            {
                "agent_id": "lago",
                "action": "completion",
                **ACME,
                "idempotency_key": "tx-2",
                "timestamp": "2026-04-26T11:59:00.123Z",
            },
        ],
        200,
        {
            "events": [
                {**LAGO_SHOWN, "transaction_id": "tx-1", "timestamp": AT, "properties": {"tokens": 2400}},
                {
                    **LAGO_SHOWN,
                    "transaction_id": "tx-2",
                    "timestamp": "2026-04-26T11:59:00.123Z",
                    "properties": None,
                },
            ]
        },
    ),
    Golden(
        "stripe v1",
        "/stripe/v1/billing/meter_events",
        STRIPE_V1,
        [
            {
                "agent_id": "agent-copilot",
                "action": "completion",
                **ACME,
                "quantities": {"value": "25"},
                "idempotency_key": "idmp_1",
                "timestamp": AT,
            }
        ],
        200,
        {
            "object": "billing.meter_event",
            "created": 1777204800,
            "event_name": "completion",
            "identifier": "idmp_1",
            "livemode": True,
            "payload": {"stripe_customer_id": "acme-corp", "value": "25", "agent_id": "agent-copilot"},
            "timestamp": 1777204740,
        },
        {**FORM, "Idempotency-Key": "8063e2ca"},
    ),
    Golden(
        "stripe v2",
        "/stripe/v2/billing/meter_events",
        STRIPE_V2,
        [
            {
                "agent_id": "stripe",
                "action": "completion",
                **ACME,
                "quantities": {"value": "25"},
                "idempotency_key": "idmp_2",
                "timestamp": "2026-04-26T11:59:00Z",
            }
        ],
        200,
        {
            "object": "v2.billing.meter_event",
            "created": "2026-04-26T12:00:00.000Z",
            "event_name": "completion",
            "identifier": "idmp_2",
            "livemode": True,
            "payload": {"stripe_customer_id": "acme-corp", "value": "25"},
            "timestamp": "2026-04-26T11:59:00Z",
        },
        {"Idempotency-Key": "81b38a0a"},
    ),
    Golden(
        "paid, signals",
        "/paid/api/v2/signals/bulk",
        SIGNALS,
        [
            {
                "agent_id": "agent-copilot",
                "action": "completion",
                **ACME,
                "tokens": 2400,
                "model": "gpt-4o",
                "idempotency_key": "sig-1",
                "timestamp": "2026-04-26T11:59:00Z",
            }
        ],
        200,
        {"ingested": 1, "duplicates": 0, "failed": 0},
    ),
    Golden(
        "paid, costs",
        "/paid/api/v2/costs/bulk",
        COSTS,
        [],
        200,
        {"ingested": 2, "duplicates": 0},
        not_counted={"a cost is what the sender pays, not what a customer owes": 2},
    ),
    Golden(
        "lago-agent-sdk",
        "/lago/api/v1/events/batch",
        LAGO_AGENT,
        [
            {**CLAUDE, **API, "action": "llm_input_tokens", "tokens_input": 1200, "idempotency_key": "6739a296"},
            {
                **CLAUDE,
                **API,
                "action": "llm_cache_creation_tokens",
                "tokens_cache_write": 100,
                "idempotency_key": "22abcce5",
            },
            {
                **CLAUDE,
                **API,
                "action": "llm_tool_calls",
                "quantities": {"value": "2"},
                "idempotency_key": "6b36c96e",
            },
        ],
        200,
        {
            "events": [
                {
                    "transaction_id": id,
                    "external_subscription_id": "acme-corp",
                    "code": code,
                    "timestamp": AT,
                    "properties": {
                        "value": value,
                        "model": "claude-sonnet-4",
                        "provider": "anthropic",
                        "api": "messages",
                    },
                }
                for id, code, value in [
                    ("6739a296", "llm_input_tokens", "1200"),
                    ("22abcce5", "llm_cache_creation_tokens", "100"),
                    ("be94d0a6", "llm_cache_write_5m_tokens", "100"),
                    ("6b36c96e", "llm_tool_calls", "2"),
                ]
            ]
        },
        not_counted={"llm_cache_creation_tokens includes it": 1},
    ),
    Golden(
        "litellm",
        "/litellm/events",
        (CAPTURES / "litellm.json").read_bytes(),
        [
            {
                "agent_id": "copilot",
                "action": "completion",
                **ACME,
                **SPLIT,
                "idempotency_key": "call-0",
                "model": "gpt-4o",
                "provider": "openai",
                "trace_id": "tr-1",
                "timestamp": "2026-04-26T11:59:00.044Z",
                "metadata": {"id": "chatcmpl-AAA111"},
            }
        ],
        200,
        {"ingested": 1, "duplicates": 0},
        {"Content-Type": "application/json"},
        not_counted={"failed without token counts": 1},
    ),
    Golden(
        "langfuse",
        "/langfuse/api/public/otel/v1/traces",
        (CAPTURES / "langfuse.bin").read_bytes(),
        [
            {
                "agent_id": "support-bot",
                "action": action,
                **ACME,
                **more,
                "idempotency_key": f"{TRACE}:{span * 8}",
                "trace_id": TRACE,
                "timestamp": AT,
                "metadata": {"span_id": span * 8, "session_id": "s1"},
            }
            for action, span, more in (
                ("chat", "b0", {**SPLIT, "model": "gpt-4o"}),
                ("execute_tool", "b1", {}),
                ("embeddings", "b2", {"tokens_input": 8, "model": "text-embedding-3-small"}),
            )
        ],
        200,
        b"",
        PROTOBUF,
        not_counted={"not a call of a model, an embedding or a tool": 1},
    ),
]
