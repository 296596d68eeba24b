"""Stripe's reports of meter events that it took, checked later, and dropped. Pure.

A report names an event that has to be read: https://docs.stripe.com/api/v2/core/events/event-types.
"""

from collections.abc import Mapping

import msgspec

METER_REPORTS = ("v1.billing.meter.error_report_triggered", "v1.billing.meter.no_meter_found")


class _Related(msgspec.Struct, frozen=True):
    id: str = ""


class MeterReport(msgspec.Struct, frozen=True):
    """A report that Stripe dropped meter events which it had taken."""

    id: str
    type: str
    related_object: _Related | None = None

    @property
    def meter(self) -> str:
        """Stripe's id of the meter; empty if there is none."""
        return "" if self.related_object is None else self.related_object.id


class _Sample(msgspec.Struct, frozen=True):
    class _Request(msgspec.Struct, frozen=True):
        identifier: str = ""

    error_message: str = ""
    request: _Request = _Request()


class _Reason(msgspec.Struct, frozen=True):
    code: str = ""
    error_count: int = 0
    sample_errors: tuple[_Sample, ...] = ()


class _Reasons(msgspec.Struct, frozen=True):
    error_count: int = 0
    error_types: tuple[_Reason, ...] = ()


class _Dropped(msgspec.Struct, frozen=True):
    reason: _Reasons = _Reasons()


class DroppedEvents(msgspec.Struct, frozen=True):
    """What an event of Stripe says of the meter events that it dropped."""

    data: _Dropped = _Dropped()

    @property
    def count(self) -> int:
        """How many they are."""
        return self.data.reason.error_count

    @property
    def reasons(self) -> list[str]:
        """Why, each reason with how many."""
        return [f"{one.code}: {one.error_count}" for one in self.data.reason.error_types]

    @property
    def samples(self) -> list[str]:
        """Some of them, by identifier."""
        some = [one for reason in self.data.reason.error_types for one in reason.sample_errors]
        return [f"{one.request.identifier}: {one.error_message}" for one in some]


meter_report = msgspec.json.Decoder(MeterReport).decode


def dropped(event: Mapping[str, object]) -> DroppedEvents:
    """Return what an event says of dropped meter events. Raises msgspec.ValidationError."""
    return msgspec.convert(event, DroppedEvents)
