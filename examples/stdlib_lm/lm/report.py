"""One report that compares the two models: Markdown and a plot."""

from collections.abc import Sequence
from pathlib import Path

from lm.dedup import DedupStats
from lm.model import Evaluation, ModelStats
from lm.scatter import scatter
from lm.split import SplitStats
from lm.text import CollectStats, NormaliseStats

NOTE = """\
Perplexity per token cannot be compared between the two: a larger vocabulary cuts the same text
into fewer tokens, and each of them is harder to guess. Bits per byte and perplexity per
character can be compared, because the held-out text is the same."""


def write_report(
    output: Path,
    collected: CollectStats,
    normalised: NormaliseStats,
    exact: DedupStats,
    near: DedupStats,
    sides: SplitStats,
    inventory: Path,
    models: dict[str, ModelStats],
    evaluations: dict[str, Evaluation],
) -> dict[str, float]:
    """Write report.md and plot.svg; the artifact is the bits per byte of every model."""
    sections = [
        "# A small language model of the Python standard library",
        "## Corpus",
        corpus_table(collected, normalised, exact, near, sides),
        "The largest packages before the cleaning:",
        table(largest(inventory / "inventory.tsv")),
        "## Models",
        models_table(models, evaluations),
        NOTE,
        "![Bits per byte of every held-out module](plot.svg)",
    ]
    write(output / "report.md", "\n\n".join(sections) + "\n")
    write(output / "plot.svg", plot(evaluations))
    return {label: evaluation.bits_per_byte for label, evaluation in evaluations.items()}


def corpus_table(
    collected: CollectStats,
    normalised: NormaliseStats,
    exact: DedupStats,
    near: DedupStats,
    sides: SplitStats,
) -> str:
    """Show what every cleaning step removed."""
    rows: list[tuple[object, ...]] = [
        ("step", "removed", "left"),
        ("collect", f"{collected.unreadable} unreadable", f"{collected.modules:,} modules"),
        (
            "normalise",
            f"{normalised.too_short:,} short blocks, {normalised.tables} tables",
            f"{normalised.documents:,} documents",
        ),
        ("exact copies", exact.removed, f"{exact.kept:,} documents"),
        ("near copies", near.removed, f"{near.kept:,} documents"),
        ("split: training", "", f"{sides.train_bytes:,} bytes"),
        ("split: held-out", "", f"{sides.heldout_bytes:,} bytes"),
    ]
    return table(rows)


def models_table(models: dict[str, ModelStats], evaluations: dict[str, Evaluation]) -> str:
    """Show one column per model."""
    results = list(evaluations.values())
    trained = [models[label] for label in evaluations]
    rows: list[tuple[object, ...]] = [
        ("", *evaluations),
        ("vocabulary", *(f"{result.vocab_size:,}" for result in results)),
        ("order of the n-grams", *(result.order for result in results)),
        ("different n-grams", *(f"{sum(model.ngrams):,}" for model in trained)),
        ("training tokens", *(f"{model.train_tokens:,}" for model in trained)),
        ("held-out tokens", *(f"{result.tokens:,}" for result in results)),
        ("**bits per byte**", *(f"**{result.bits_per_byte:.4f}**" for result in results)),
        (
            "perplexity per character",
            *(f"{result.character_perplexity:.3f}" for result in results),
        ),
        ("perplexity per token", *(f"{result.token_perplexity:.2f}" for result in results)),
    ]
    return table(rows)


def largest(inventory: Path, rows: int = 8) -> list[tuple[str, ...]]:
    """Return the header and the first rows of the inventory."""
    lines = inventory.read_text(encoding="utf-8").splitlines()
    return [tuple(line.split("\t")) for line in lines[: rows + 1]]


def table(rows: Sequence[Sequence[object]]) -> str:
    """Write a Markdown table; the first row is the header."""
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    rule = "|---" + "|---:" * (len(rows[0]) - 1) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def plot(evaluations: dict[str, Evaluation]) -> str:
    """Draw the bits per byte of every held-out module: the first model against the second."""
    (label_x, model_x), (label_y, model_y) = evaluations.items()
    points = [(bits, model_y.modules[module], module) for module, bits in model_x.modules.items()]
    return scatter(
        points,
        title=f"Bits per byte of every held-out module (below the line: {label_y} is better)",
        x_label=f"{label_x}: {model_x.vocab_size:,} tokens",
        y_label=f"{label_y}: {model_y.vocab_size:,} tokens",
    )


def write(file: Path, text: str) -> None:
    """Write text with the same line ends on every platform."""
    file.write_text(text, encoding="utf-8", newline="\n")
