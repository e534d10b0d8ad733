"""Byte-level BPE tokenizers (Hugging Face `tokenizers`) and tokenized shards.

BPE: R. Sennrich et al., "Neural machine translation of rare words with subword units", 2016.
"""

from dataclasses import dataclass
from pathlib import Path

from lm.documents import read_documents
from lm.split import shard_file

TOKENIZER_FILE = "tokenizer.json"
TOKENS_FILE = "tokens.npy"
END_OF_TEXT = "<|endoftext|>"
END_ID = 0  # the first special token gets the first id


@dataclass(frozen=True)
class TokenizerStats:
    """The vocabulary that the training reached."""

    vocab_size: int


@dataclass(frozen=True)
class TokenStats:
    """The size of one tokenized shard."""

    documents: int
    tokens: int


def train_tokenizer(output: Path, shards: Path, vocab_size: int) -> TokenizerStats:
    """Train a byte-level BPE tokenizer on all training shards."""
    import tokenizers as hf  # imported late: declaring the pipeline stays fast

    tokenizer = hf.Tokenizer(hf.models.BPE())
    tokenizer.pre_tokenizer = hf.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = hf.decoders.ByteLevel()
    trainer = hf.trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(hf.pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    files = sorted(shards.glob("train-*.jsonl"))
    texts = (document.text for file in files for document in read_documents(file))
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.save(str(output / TOKENIZER_FILE))
    return TokenizerStats(vocab_size=tokenizer.get_vocab_size())


def tokenize(output: Path, shards: Path, tokenizer: Path, shard: int) -> TokenStats:
    """Turn one training shard into one array of token ids."""
    import numpy as np

    documents = encode(tokenizer, shards / shard_file(shard))
    tokens = np.array([token for document in documents for token in document], dtype=np.int32)
    np.save(output / TOKENS_FILE, tokens)
    return TokenStats(documents=len(documents), tokens=len(tokens))


def encode(tokenizer: Path, documents: Path) -> list[list[int]]:
    """Return the token ids of every document of a file, each with an end of text behind it."""
    import tokenizers as hf

    loaded = hf.Tokenizer.from_file(str(tokenizer / TOKENIZER_FILE))
    texts = [document.text for document in read_documents(documents)]
    return [[*encoding.ids, END_ID] for encoding in loaded.encode_batch(texts)]
