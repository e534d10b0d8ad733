"""From source files to clean documents: collect and normalise."""

import re
import tokenize
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lm.documents import FILE_NAME, Document, read_documents, write_documents

# A blank line followed by a line without indent: a new class, function or top-level statement.
TOP_LEVEL_BREAK = re.compile(r"\n\n+(?=\S)")


@dataclass(frozen=True)
class CollectStats:
    """What was read from the standard library."""

    modules: int
    unreadable: int
    characters: int


@dataclass(frozen=True)
class NormaliseStats:
    """What is left after the modules are cleaned and cut into blocks."""

    documents: int
    too_short: int
    tables: int
    characters: int


def collect(output: Path, stdlib: Path, patterns: list[str]) -> CollectStats:
    """Copy the text of the chosen modules into one file, in a fixed order."""
    files = sorted({file for pattern in patterns for file in stdlib.glob(pattern)})
    texts = {file.relative_to(stdlib).as_posix(): read_source(file) for file in files}
    documents = [Document(module, 0, text) for module, text in texts.items() if text is not None]
    write_documents(output / FILE_NAME, documents)
    return CollectStats(
        modules=len(documents),
        unreadable=len(texts) - len(documents),
        characters=sum(len(document.text) for document in documents),
    )


def read_source(file: Path) -> str | None:
    """Read Python source in the encoding that it declares; None if it does not decode."""
    try:
        with tokenize.open(file) as lines:
            return lines.read()
    except (SyntaxError, UnicodeDecodeError):
        return None


def normalise(
    output: Path, modules: Path, min_chars: int = 200, max_digits: float = 0.05
) -> NormaliseStats:
    """Clean every module, cut it into top-level blocks, drop short blocks and tables."""
    blocks = [block for module in read_documents(modules) for block in cut(module)]
    long = [block for block in blocks if len(block.text) >= min_chars]
    kept = [block for block in long if digit_share(block.text) <= max_digits]
    write_documents(output / FILE_NAME, kept)
    return NormaliseStats(
        documents=len(kept),
        too_short=len(blocks) - len(long),
        tables=len(long) - len(kept),
        characters=sum(len(block.text) for block in kept),
    )


def cut(module: Document) -> Iterator[Document]:
    """Cut a module into its top-level blocks."""
    for part, text in enumerate(TOP_LEVEL_BREAK.split(clean(module.text))):
        yield Document(module.module, part, text)


def clean(text: str) -> str:
    """Use one form for accents (NFC), tabs and line ends; no space at the end of a line."""
    lines = unicodedata.normalize("NFC", text).expandtabs().splitlines()
    return "\n".join(line.rstrip() for line in lines).strip("\n")


def digit_share(text: str) -> float:
    """Return the share of digits: high in tables, such as those of the character sets."""
    return sum(character.isdigit() for character in text) / max(len(text), 1)
