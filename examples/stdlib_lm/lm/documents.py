"""Documents on disk: the JSON Lines files that the text steps hand to each other."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

FILE_NAME = "documents.jsonl"


@dataclass(frozen=True)
class Document:
    """A piece of text and the module it comes from."""

    module: str  # the path inside the standard library, such as "json/decoder.py"
    part: int  # the place of the text inside that module, counted from 0
    text: str

    @property
    def name(self) -> str:
        """A unique name, such as "json/decoder.py#3"."""
        return f"{self.module}#{self.part}"

    @property
    def size(self) -> int:
        """The number of bytes of the text."""
        return len(self.text.encode())


def read_documents(path: Path) -> list[Document]:
    """Read a JSON Lines file, or the documents.jsonl of a folder."""
    file = path / FILE_NAME if path.is_dir() else path
    with file.open(encoding="utf-8") as lines:
        return [Document(**json.loads(line)) for line in lines]


def write_documents(path: Path, documents: Iterable[Document]) -> None:
    """Write one JSON object per line; the line ends do not depend on the platform."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps(asdict(document)) + "\n" for document in documents)


def write_rows(path: Path, header: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    """Write a small table of tab-separated values, for people to look at."""
    lines = ["\t".join(map(str, row)) for row in (header, *rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
