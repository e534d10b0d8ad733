"""Remove documents that repeat another one: exact copies, then near copies by MinHash."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from lm.documents import FILE_NAME, Document, read_documents, write_documents, write_rows


@dataclass(frozen=True)
class DedupStats:
    """How many documents a removal step kept and removed."""

    kept: int
    removed: int


@dataclass(frozen=True)
class SignatureStats:
    """The shape of the table of MinHash signatures."""

    documents: int
    hashes: int


def remove_exact(output: Path, documents: Path) -> DedupStats:
    """Keep the first of all documents that are equal apart from white space."""
    everything = read_documents(documents)
    first: dict[str, Document] = {}
    for document in everything:
        first.setdefault(fingerprint(document.text), document)
    write_documents(output / FILE_NAME, first.values())
    return DedupStats(kept=len(first), removed=len(everything) - len(first))


def fingerprint(text: str) -> str:
    """Return a digest of the words of a text, whatever the white space between them."""
    return hashlib.sha256(" ".join(text.split()).encode()).hexdigest()


def sign(
    output: Path, documents: Path, hashes: int = 128, shingle_words: int = 3, seed: int = 0
) -> SignatureStats:
    """Compute the MinHash signature of every document."""
    import numpy as np  # imported late: declaring the pipeline stays fast

    from lm import minhash

    hasher = minhash.MinHasher(hashes, seed)
    texts = [document.text for document in read_documents(documents)]
    table = np.stack([hasher.sign(minhash.shingles(text, shingle_words)) for text in texts])
    np.save(output / "signatures.npy", table)
    return SignatureStats(documents=len(texts), hashes=hashes)


def remove_near(
    output: Path, documents: Path, signatures: Path, similarity: float = 0.7, bands: int = 32
) -> DedupStats:
    """Drop every document whose likeness to a kept document reaches the given similarity."""
    import numpy as np

    from lm import minhash

    everything = read_documents(documents)
    table = np.load(signatures / "signatures.npy")
    copies = {copy.document: copy for copy in minhash.find_copies(table, bands, similarity)}
    kept = [document for n, document in enumerate(everything) if n not in copies]
    write_documents(output / FILE_NAME, kept)
    write_rows(
        output / "removed.tsv",
        ("removed", "kept", "similarity"),
        (
            (everything[copy.document].name, everything[copy.original].name, copy.similarity)
            for copy in copies.values()
        ),
    )
    return DedupStats(kept=len(kept), removed=len(copies))
