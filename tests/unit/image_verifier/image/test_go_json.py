"""JSON as Go's encoding/json reads it, oddities included; each was met by real engines on generated images."""

from __future__ import annotations

import time

import pytest
from image_verifier.image.go_json import (
    BYTES,
    INT64,
    STRING,
    TIME,
    GoJsonError,
    JsonText,
    ListOf,
    MapOf,
    StringOrList,
    Struct,
)

INNER = Struct("v1.Inner", {"name": STRING, "items": ListOf(STRING), "words": StringOrList()})
OUTER = Struct(
    "v1.Outer",
    {"digest": STRING, "size": INT64, "inner": INNER, "labels": MapOf(STRING), "data": BYTES, "created": TIME},
)


def test_the_last_of_two_equal_keys_wins() -> None:
    assert JsonText(b'{"digest": "a", "digest": "b"}').fill(OUTER)["digest"] == "b"


def test_an_object_that_comes_twice_is_filled_twice() -> None:
    twice = b'{"inner": {"name": "a", "items": ["x"]}, "inner": {"name": "b"}}'
    assert JsonText(twice).fill(OUTER)["inner"] == {"name": "b", "items": ["x"], "words": []}
    assert JsonText(b'{"labels": {"a": "1"}, "labels": {"b": "2"}}').fill(OUTER)["labels"] == {"a": "1", "b": "2"}


def test_a_list_that_comes_twice_is_filled_twice_unless_it_was_emptied_between() -> None:
    outer = Struct("v1.Outer", {"inners": ListOf(INNER)})
    twice = b'{"inners": [{"name": "a"}, {"name": "b"}], "inners": [{"items": ["x"]}]}'
    assert JsonText(twice).fill(outer)["inners"] == [{"name": "a", "items": ["x"], "words": []}]
    assert JsonText(b'{"items": ["a", "b"], "items": [null, "c", null]}').fill(INNER)["items"] == ["a", "c", ""]
    assert JsonText(b'{"items": ["a"], "items": [], "items": [null]}').fill(INNER)["items"] == [""]
    assert JsonText(b'{"words": ["a"], "words": [null]}').fill(INNER)["words"] == [""]


def test_an_object_that_comes_very_often_is_filled_in_little_time() -> None:
    often = b",".join(b'"labels": {"%d": ""}' % number for number in range(100_000))
    began = time.process_time()
    assert len(JsonText(b"{" + often + b"}").fill(OUTER)["labels"]) == 100_000
    assert time.process_time() - began < 5


def test_a_number_of_any_length_is_taken_where_nobody_wants_it_and_refused_where_somebody_does() -> None:
    number = b"9" * 5000
    assert JsonText(b'{"unknown": %s}' % number).fill(OUTER)["size"] == 0
    with pytest.raises(GoJsonError, match=r"cannot unmarshal number 999+ into Go struct field Outer.size of type"):
        JsonText(b'{"size": %s}' % number).fill(OUTER)


def test_a_null_leaves_a_struct_and_a_text_as_they_were_and_empties_a_list() -> None:
    assert JsonText(b'{"inner": {"name": "a"}, "inner": null}').fill(OUTER)["inner"]["name"] == "a"
    assert JsonText(b'{"digest": "a", "digest": null}').fill(OUTER)["digest"] == "a"
    assert JsonText(b'{"inner": {"items": ["x"], "items": null}}').fill(OUTER)["inner"]["items"] == []


@pytest.mark.parametrize("key", ["Digest", "DIGEST", "dige\N{LATIN SMALL LETTER LONG S}t"])
def test_keys_are_compared_without_case(key: str) -> None:
    assert JsonText(f'{{"{key}": "a"}}'.encode()).fill(OUTER)["digest"] == "a"


def test_half_a_surrogate_pair_becomes_the_replacement_character() -> None:
    halves = rb'{"digest": "\ud800a", "labels": {"\udc00": "\ud83d\ude00"}, "inner": {"items": ["\ud800\ud800"]}}'
    document = JsonText(halves).fill(OUTER)
    assert document["digest"] == "\ufffda"
    assert document["labels"] == {"\ufffd": "\N{GRINNING FACE}"}
    assert document["inner"]["items"] == ["\ufffd\ufffd"]


def test_bytes_are_base64() -> None:
    assert JsonText(b'{"data": "eA=="}').fill(OUTER)["data"] == b"x"
    with pytest.raises(GoJsonError, match="illegal base64 data at input byte 0"):
        JsonText(b'{"data": "!"}').fill(OUTER)


def test_bytes_may_be_a_list_of_numbers_too() -> None:
    assert JsonText(b'{"data": []}').fill(OUTER)["data"] == b""
    assert JsonText(b'{"data": [120, null, 255]}').fill(OUTER)["data"] == b"x\0\xff"
    with pytest.raises(GoJsonError, match=r"cannot unmarshal string into .*data of type uint8"):
        JsonText(b'{"data": ["x"]}').fill(OUTER)
    for number in ("256", "-1", "1.5"):
        with pytest.raises(GoJsonError, match=rf"cannot unmarshal number {number} into .*data of type uint8"):
            JsonText(b'{"data": [%s]}' % number.encode()).fill(OUTER)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (b'{"size": "1"}', "json: cannot unmarshal string into Go struct field Outer.size of type int64"),
        (b'{"size": 1.5}', "json: cannot unmarshal number 1.5 into Go struct field Outer.size of type int64"),
        (b"[]", "json: cannot unmarshal array into Go value of type v1.Outer"),
        (
            b'{"inner": {"items": [1]}}',
            "json: cannot unmarshal number into Go struct field Inner.inner.items of type string",
        ),
        (
            b'{"created": "yesterday"}',
            'parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday" as "2006"',
        ),
        (b"nothing", "invalid character 'o' in literal null (expecting 'u')"),
        (b'{"size": 1', "unexpected end of JSON input"),
        (b'{"digest": "\x01"}', "invalid character '\\x01' in string literal"),
        (b'{"digest": "\\x"}', "invalid character 'x' in string escape code"),
        (b"\xef\xbb\xbf{}", "invalid character 'ï' looking for beginning of value"),
        (b"{} x", "invalid character 'x' after top-level value"),
    ],
)
def test_what_go_refuses_is_refused_in_its_words(document: bytes, words: str) -> None:
    with pytest.raises(GoJsonError) as refused:
        JsonText(document).fill(OUTER)
    assert str(refused.value) == words


def test_since_1_24_go_names_the_outermost_struct() -> None:
    with pytest.raises(GoJsonError, match=r"Go struct field Outer\.inner\.name of type string"):
        JsonText(b'{"inner": {"name": 1}}').fill(OUTER, since_1_24=True)
