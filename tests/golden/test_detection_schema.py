"""The golden detection events pass the JSON schema that is kept beside the code, and broken ones do not."""
import copy
import json
import pathlib

import jsonschema
import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
SCHEMA = json.loads((TOP / "agent" / "detection.schema.json").read_text())
FILES = sorted((TOP / "tests" / "golden" / "detection").glob("*.json"))


def test_there_are_examples():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert len(FILES) >= 3


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_examples_pass(path):
    jsonschema.validate(json.loads(path.read_text()), SCHEMA, jsonschema.Draft202012Validator)


@pytest.mark.parametrize("member, value", [("class_uid", 2003), ("malware", []), ("severity_id", "high"),
                                           ("disposition_id", 1), ("extra", 1)])
def test_broken_ones_do_not(member, value):
    event = copy.deepcopy(json.loads(FILES[0].read_text()))
    event[member] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(event, SCHEMA, jsonschema.Draft202012Validator)
