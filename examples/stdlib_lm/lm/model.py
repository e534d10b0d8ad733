"""Train an n-gram model on tokenized shards and evaluate it on held-out text."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from lm.bpe import END_ID, TOKENS_FILE, TokenizerStats, encode
from lm.documents import Document, read_documents, write_rows
from lm.split import HELDOUT_FILE


@dataclass(frozen=True)
class ModelStats:
    """The size of a trained model."""

    train_tokens: int
    ngrams: list[int]  # how many different n-grams there are of the order 1, 2, ...


@dataclass(frozen=True)
class Evaluation:
    """How well a model predicts the held-out text."""

    vocab_size: int
    order: int
    tokens: int
    characters: int
    bytes: int
    bits: float  # the information content of the held-out text under the model
    bits_per_byte: float  # comparable between tokenizers: the text is the same for all
    modules: dict[str, float]  # bits per byte of every held-out module

    @property
    def character_perplexity(self) -> float:
        """Comparable between tokenizers, too."""
        return float(2 ** (self.bits / self.characters))

    @property
    def token_perplexity(self) -> float:
        """Not comparable between tokenizers: a larger vocabulary makes each token harder."""
        return float(2 ** (self.bits / self.tokens))


def train_model(
    output: Path, tokens: list[Path], tokenizer: TokenizerStats, order: int = 4
) -> ModelStats:
    """Count the n-grams of all shards and smooth them."""
    import numpy as np  # imported late: declaring the pipeline stays fast

    from lm import kneser_ney

    shards = [np.load(shard / TOKENS_FILE) for shard in tokens]
    stream = kneser_ney.stream(shards, END_ID)
    levels = kneser_ney.fit(stream, tokenizer.vocab_size, order)
    kneser_ney.save(output, levels)
    return ModelStats(
        train_tokens=sum(len(shard) for shard in shards),
        ngrams=[len(level.keys) for level in levels],
    )


def evaluate(
    output: Path, model: Path, tokenizer: Path, vocabulary: TokenizerStats, heldout: Path
) -> Evaluation:
    """Add up the bits that the model needs for the held-out documents."""
    import numpy as np

    from lm import kneser_ney

    documents = read_documents(heldout / HELDOUT_FILE)
    encoded = encode(tokenizer, heldout / HELDOUT_FILE)
    stream = kneser_ney.stream([np.array(tokens) for tokens in encoded], END_ID)
    levels = kneser_ney.load(model)
    costs = -np.log2(kneser_ney.probabilities(levels, stream, vocabulary.vocab_size)[1:])
    starts = np.cumsum([0, *(len(tokens) for tokens in encoded[:-1])])
    modules = per_module(documents, np.add.reduceat(costs, starts).tolist())
    write_rows(output / "modules.tsv", ("module", "bits_per_byte"), modules.items())
    bits, size = float(costs.sum()), sum(document.size for document in documents)
    return Evaluation(
        vocab_size=vocabulary.vocab_size,
        order=len(levels),
        tokens=len(costs),
        characters=sum(len(document.text) for document in documents),
        bytes=size,
        bits=bits,
        bits_per_byte=bits / size,
        modules=modules,
    )


def per_module(documents: list[Document], bits: list[float]) -> dict[str, float]:
    """Bits per byte of every module, from the bits of its documents."""
    total_bits: dict[str, float] = defaultdict(float)
    total_bytes: dict[str, int] = defaultdict(int)
    for document, amount in zip(documents, bits, strict=True):
        total_bits[document.module] += amount
        total_bytes[document.module] += document.size
    return {module: total_bits[module] / total_bytes[module] for module in sorted(total_bits)}
