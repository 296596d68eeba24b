"""What can go wrong between a service and the log.

StreamError
├── NotRecorded     an append was refused before it entered the producer: nothing was recorded
├── Unknown         an append may or may not have been recorded; safe to repeat with the same key
├── Hung            a Kafka client gave no sign of life and was left behind; a new one is made
├── Stopped         a shard may not go on; a person has to look
│   ├── LogMismatch     state and log do not belong together
│   ├── OtherVersion    what another version of the rules has answered is not committed
│   └── TooManyRejects  so many records cannot be applied that it is an outage, not a queue
└── InstanceTaken   another process has this instance's lock
"""


class StreamError(Exception):
    """The root."""


class NotRecorded(StreamError):
    """The record never entered the producer: it is safe to say that nothing was recorded."""


class AppendUnknown(StreamError):
    """The record may have been recorded, or may still be."""


class Hung(StreamError):
    """A reader gave no sign of life for too long."""


class ConsumerStalled(Hung):
    """A consumer has had no answered fetch for too long, or stands below the known end: another one is needed."""


class ShardHalted(StreamError):
    """A shard stands still until a person has looked at it."""


class LogMismatch(ShardHalted):
    """The shard's position is of another log, beyond the log's end, or before its beginning."""


class TooManyRejects(ShardHalted):
    """More records of a short run were rejected than the limit allows."""


class OtherVersion(ShardHalted):
    """The shard was left by a processor of another version, with answers given that are not committed yet: this
    one might decide them otherwise."""


class EndsUnknown(StreamError):
    """The broker did not say where a partition ends."""


class InstanceTaken(StreamError):
    """Another living process holds this instance's ordinal on this machine."""
