"""Errors between a service and the log.

StreamError
├── NotRecorded          an append was refused before it entered the producer: nothing was recorded
├── AppendUnknown        an append may or may not have been recorded; safe to repeat with the same key
├── Hung                 a Kafka client showed no sign of life and was abandoned; a new one is created
│   └── ConsumerStalled      a consumer is silent or stuck
├── ShardHalted          a shard may not continue; a person has to look
│   ├── LogMismatch          state and log do not belong together
│   ├── TooManyRejects       so many records cannot be applied that it is an outage
│   └── OtherVersion         replies of another version of the rules are not committed
├── EndsUnknown          the broker did not return an end offset
└── InstanceTaken        another process has this instance's lock
"""


class StreamError(Exception):
    """The base of all errors of this package."""


class NotRecorded(StreamError):
    """The record never entered the producer, so it is certain that nothing was recorded."""


class AppendUnknown(StreamError):
    """The record may have been recorded, or may still be."""


class Hung(StreamError):
    """A reader showed no sign of life for too long."""


class ConsumerStalled(Hung):
    """A consumer had no answered fetch for too long, or is stuck below the known end. It must be replaced."""


class ShardHalted(StreamError):
    """A shard has halted until a person has looked at it."""


class LogMismatch(ShardHalted):
    """The shard's position belongs to another log, or lies beyond the log's end or before its beginning."""


class TooManyRejects(ShardHalted):
    """A run of records had more rejects than the limit permits."""


class OtherVersion(ShardHalted):
    """A processor of another version left the shard with replies sent but not committed; this version might decide
    those records differently."""


class EndsUnknown(StreamError):
    """The broker did not return a partition's end offset."""


class InstanceTaken(StreamError):
    """Another running process holds this instance's ordinal on this machine."""
