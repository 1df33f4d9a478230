"""What shapes say of regular records is what the formats make of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from detectors.sigma.compiled.shape import Kind, Names, all_shapes
from detectors.sigma.fields import Fields
from ingest.formats.aws_cloudtrail import records as cloudtrail_records
from ingest.formats.contract import View
from ingest.formats.registry import all_formats, format_named
from tests.detectors.sigma.compiled.oracle import golden_records

SHAPES = sorted(all_shapes())


def test_every_format_with_a_shape_is_there() -> None:
    assert {"aws.cloudtrail", "kubernetes.audit"} <= set(SHAPES) <= set(all_formats())


@pytest.mark.parametrize("name", SHAPES)
def test_values_said_to_follow_are_those_of_the_document(name: str) -> None:
    shape, format_ = all_shapes()[name], format_named(name)
    decode, compared = shape.decoder(), 0
    for record in golden_records(format_):
        try:
            event = decode(shape.shown(record) if shape.shown else record)
        except (ValueError, RecursionError):
            continue  # irregular: nothing is said of it
        if not shape.times.is_plain(getattr(event, shape.time)):
            continue
        fields = Fields(View({}, ecs=format_.normalise(record)), {})
        for path, values in shape.implied(shape.key(event)).items():
            assert values == fields.values(path), (path, record)
            compared += 1
        for path, get in shape.derived.items():
            found = get(event)
            if found is not None:
                assert found == fields.values(path), (path, record)
                compared += 1
    assert compared > 100


@pytest.mark.parametrize("name", SHAPES)
def test_decoded_values_are_those_of_the_view(name: str) -> None:
    shape, format_ = all_shapes()[name], format_named(name)
    decode, regular = shape.decoder(), 0
    for record in golden_records(format_):
        try:
            event = decode(shape.shown(record) if shape.shown else record)
        except (ValueError, RecursionError):
            continue
        regular += 1
        view = format_.view(record)
        assert view.final is shape.final(shape.key(event))
        assert _decoded(event, shape.names) == _viewed(view.vendor, shape.names)
    assert regular > 5


def test_names_of_regular_records_need_no_respelling() -> None:
    names = all_shapes()["aws.cloudtrail"].names
    identity = names["userIdentity"]
    assert names.keys() <= cloudtrail_records._TOP
    assert isinstance(identity, Mapping)
    assert identity.keys() <= cloudtrail_records._IDENTITY


def _decoded(event: Any, names: Names) -> dict[str, Any]:
    found = {}
    for name, kind in names.items():
        value = getattr(event, name)
        if not isinstance(kind, Kind):
            found[name] = _decoded(value, kind)
        elif kind is not Kind.BODY:
            found[name] = value
    return found


def _viewed(vendor: Mapping[str, Any], names: Names) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, kind in names.items():
        if not isinstance(kind, Kind):
            found[name] = _viewed(vendor.get(name, {}), kind)
        elif kind is not Kind.BODY:
            found[name] = vendor.get(name)
    return found
