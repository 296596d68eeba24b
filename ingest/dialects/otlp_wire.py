"""The protobuf messages of OTLP traces, with the fields that Rev reads. Pure.

They are the messages of opentelemetry-proto on the wire. Attributes are declared as a map from the key to the bytes of
the value: a map is written exactly as a list of messages with a key and a value, so the library builds it in C, and
only the values that are wanted become Python objects. Everything else of a span is skipped without being decoded.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_Field = descriptor_pb2.FieldDescriptorProto
_PACKAGE = "rev.otlp"
_ENTRY = "AttributesEntry"
_MESSAGES: dict[str, dict[str, tuple[int, int | str, bool]]] = {
    "Status": {"code": (3, _Field.TYPE_INT32, False)},
    "Span": {
        "trace_id": (1, _Field.TYPE_BYTES, False),
        "span_id": (2, _Field.TYPE_BYTES, False),
        "parent_span_id": (4, _Field.TYPE_BYTES, False),
        "end_time_unix_nano": (8, _Field.TYPE_FIXED64, False),
        "attributes": (9, f"Span.{_ENTRY}", True),
        "status": (15, "Status", False),
    },
    "Scope": {"spans": (2, "Span", True)},
    "Resource": {"attributes": (1, f"Resource.{_ENTRY}", True)},
    "Part": {"resource": (1, "Resource", False), "scope_spans": (2, "Scope", True)},
    "Request": {"resource_spans": (1, "Part", True)},
}
"""Each message's fields: number, type or name of a message, whether there may be several."""


def _declared() -> Any:
    """Return the class of a request."""
    file = descriptor_pb2.FileDescriptorProto(name="rev/otlp.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, type, several) in fields.items():
            declared = message.field.add(name=field, number=number)
            declared.label = _Field.LABEL_REPEATED if several else _Field.LABEL_OPTIONAL
            if isinstance(type, str):
                declared.type, declared.type_name = _Field.TYPE_MESSAGE, f".{_PACKAGE}.{type}"
            else:
                declared.type = type
        if "attributes" in fields:
            entry = message.nested_type.add(name=_ENTRY)
            entry.options.map_entry = True
            for number, (field, type) in enumerate((("key", _Field.TYPE_STRING), ("value", _Field.TYPE_BYTES)), 1):
                entry.field.add(name=field, number=number, type=type, label=_Field.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Request"))


TraceRequest = _declared()
"""An ExportTraceServiceRequest."""
