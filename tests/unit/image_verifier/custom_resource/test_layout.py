"""A reason stays readable where the CDK CLI, a terminal or a pipeline's log shows it."""

from __future__ import annotations

import random

import pytest
from image_verifier.custom_resource.layout import Paragraph, Reason, command, page, prose

from tests.terminals import BEFORE, cli_block, terminal_rows

_WORDS = ("the", "image", "an", "attestation", "cannot", "be", "of", "linux/amd64", "ECR")
_HEADLINE = "Image refused: The tag points at a build attestation (provenance or SBOM), not at an image. [not-an-image]"
_DIGEST = "sha256:" + "5af3" * 16
_SEEDS = range(60)


def some_prose(source: random.Random) -> list[Paragraph]:
    return prose("Or " + " ".join(source.choices(_WORDS, k=source.randint(2, 40))))


def some_digests(source: random.Random) -> list[Paragraph]:
    return prose("Or " + " ".join(source.choices((*_WORDS, _DIGEST), k=source.randint(2, 20))))


def some_command(source: random.Random) -> list[Paragraph]:
    parts = [f"TAG={'t' * source.randint(1, 90)};" for _ in range(source.randint(0, 3))]
    return command(" ".join([*parts, f"aws ecr {'x' * source.randint(1, 100)} --region eu-west-1"[:118].strip()]))


def some_reason(seed: int, *, commands: bool = True) -> Reason:
    source = random.Random(seed)
    kinds = [some_prose, some_digests, some_command] if commands else [some_prose]
    paragraphs = [part for _ in range(source.randint(1, 12)) for part in source.choice(kinds)(source)]
    return Reason(_HEADLINE, paragraphs)


def rows(text: str) -> list[str]:
    return [row.strip() for row in text.split("\n")]


@pytest.mark.parametrize("seed", _SEEDS)
def test_the_cli_cuts_a_reason_only_where_a_row_of_it_ends(seed: int) -> None:
    text = page(some_reason(seed))
    assert rows(cli_block(text)) == rows(BEFORE + text)


@pytest.mark.parametrize("seed", _SEEDS)
def test_every_command_is_one_row_of_the_clis_last_block(seed: int) -> None:
    reason = some_reason(seed)
    commands = [part.text for part in reason.paragraphs if part.is_whole]
    shown = rows(cli_block(page(reason)))
    assert [row for row in shown if row in commands] == commands


@pytest.mark.parametrize("seed", _SEEDS)
def test_a_terminal_of_120_columns_shows_no_empty_row(seed: int) -> None:
    assert all(row.strip() for row in terminal_rows(cli_block(page(some_reason(seed))), 120))


@pytest.mark.parametrize("columns", [80, 100, 120, 160])
@pytest.mark.parametrize("seed", _SEEDS)
def test_sentences_leave_no_empty_row_in_any_terminal(columns: int, seed: int) -> None:
    text = page(some_reason(seed, commands=False))
    assert all(row.strip() for row in terminal_rows(cli_block(text), columns))


@pytest.mark.parametrize("seed", _SEEDS)
def test_no_terminal_of_80_columns_breaks_a_word_of_a_sentence(seed: int) -> None:
    text = page(some_reason(seed, commands=False))
    assert max(len(row.rstrip()) for row in cli_block(text).split("\n")) <= 80


@pytest.mark.parametrize("columns", [80, 100, 120])
@pytest.mark.parametrize(
    ("sentence", "before"),
    [
        (
            "3. On the build machine, remove CDK's copy:",
            f"${{CDK_DOCKER:-docker}} image rm cdkasset-{'0' * 64} || true",
        ),
        ("3. Remove CDK's copy of the image from the machine that builds:", "x " * 59),
        ("Run safe-image preflight before the deploy: it finds rejected tags, and copies of images.", "x " * 59),
        (
            f"CannotPullContainerError: failed to extract layer {_DIGEST}: no processor for media-type: unknown",
            "x " * 59,
        ),
    ],
)
def test_a_sentence_before_a_long_command_ends_no_row_after_a_few_words(
    sentence: str, before: str, columns: int
) -> None:
    text = page(Reason(_HEADLINE, [*prose("To fix it:"), *prose(sentence), *command(before.strip())]))
    shown = [row.strip() for row in terminal_rows(cli_block(text), columns)]
    begin = shown.index("To fix it:") + 1
    parts = shown[begin : next(i for i, row in enumerate(shown) if row and before.startswith(row))]
    assert " ".join(parts) == sentence
    assert min(len(part) for part in parts[:-1] or parts) >= 30
    assert len(parts[-1]) >= 15


def test_the_headline_begins_a_row_of_its_own() -> None:
    rows_of_80 = terminal_rows(cli_block(page(Reason(_HEADLINE, prose("To fix it: deploy again.")))), 80)
    assert rows_of_80[0].strip() == BEFORE.strip()
    assert rows_of_80[1].startswith("  Image refused: The tag points at ")


def test_a_short_reason_has_no_padding() -> None:
    assert (
        page(Reason("Image refused", prose("To fix it: deploy again.")))
        == "\n  Image refused\n  To fix it: deploy again."
    )


@pytest.mark.parametrize("text", ["Image verified: it can run.", "To fix it: run this.", "1. Run this."])
def test_no_row_within_a_sentence_begins_as_a_sentence_of_ours(text: str) -> None:
    for length in range(1, 90):
        lines = page(Reason("Image refused", prose(f"Found {'x' * length} {text}"))).split("\n")
        assert not any(line.lstrip().startswith(text[:8]) for line in lines)


def test_a_name_longer_than_a_row_is_not_broken() -> None:
    name = "n" * 150
    assert name in rows(cli_block(page(Reason("Image refused", [*prose(f"Image: {name}"), *prose("Full report")]))))
