"""Two small language models of the Python standard library, compared.

    marin-build plan  -f examples/stdlib_lm/pipeline.py
    marin-build apply -f examples/stdlib_lm/pipeline.py --set vocab_b=6000

The functions that do the work are in the folder `lm`. This file makes steps of them and says
what depends on what. The README beside this file is the tour.
"""

import sysconfig
from dataclasses import dataclass

from lm import bpe, dedup, model, report, split, text
from marin_build import DeclaredStep, Expansion, StepSpec, command, expand, source, step

PACKAGES = (
    "asyncio",
    "collections",
    "concurrent/futures",
    "ctypes",
    "email",
    "email/mime",
    "encodings",
    "html",
    "http",
    "importlib",
    "importlib/metadata",
    "importlib/resources",
    "json",
    "logging",
    "multiprocessing",
    "re",
    "unittest",
    "urllib",
    "wsgiref",
    "xml/dom",
    "xml/etree",
    "xml/sax",
)
PATTERNS = ("*.py", *(f"{package}/*.py" for package in PACKAGES))

# Steps run side by side already, and a fixed number of threads keeps the results the same.
ONE_THREAD = {"TOKENIZERS_PARALLELISM": "false"}

collect = step(name="corpus/collect")(text.collect)
normalise = step(name="corpus/normalise")(text.normalise)
remove_exact = step(name="dedup/exact")(dedup.remove_exact)
sign = step(name="dedup/signatures")(dedup.sign)
remove_near = step(name="dedup/near")(dedup.remove_near)
split_corpus = step(name="corpus/split")(split.split)
train_tokenizer = step(env_vars=ONE_THREAD)(bpe.train_tokenizer)
tokenize = step(env_vars=ONE_THREAD)(bpe.tokenize)
train_model = step(model.train_model)
evaluate = step(env_vars=ONE_THREAD)(model.evaluate)
write_report = step(name="report")(report.write_report)


@dataclass(frozen=True)
class Branch:
    """The two steps of a branch that the report reads."""

    model: DeclaredStep
    evaluation: DeclaredStep


def pipeline(
    vocab_a: int = 2000,
    vocab_b: int = 8000,
    order: int = 4,
    shards: int = 2,
    min_chars: int = 200,
    similarity: float = 0.7,
    heldout_percent: int = 10,
) -> list[StepSpec | Expansion]:
    """Declare all steps; every parameter can be changed with --set name=value.

    With shards=0 the corpus decides how many there are: what needs them is known once it is split.
    """
    stdlib = source(sysconfig.get_path("stdlib"), name="python-stdlib", include=PATTERNS)
    modules = collect(stdlib=stdlib, patterns=list(PATTERNS))
    inventory = command(
        "python {script} {modules}/documents.jsonl > {output}/inventory.tsv",
        name="corpus/inventory",
        deps={"modules": modules},
        inputs={"script": source("inventory.py")},
        outputs=("inventory.tsv",),
    )
    blocks = normalise(modules=modules, min_chars=min_chars)
    exact = remove_exact(documents=blocks)
    signatures = sign(documents=exact)
    near = remove_near(documents=exact, signatures=signatures, similarity=similarity)
    texts = split_corpus(documents=near, heldout_percent=heldout_percent, shards=shards)

    def compared(shards: int) -> StepSpec:
        branches = {
            "vocab-a": branch("vocab-a", texts, vocab_a, order, shards),
            "vocab-b": branch("vocab-b", texts, vocab_b, order, shards),
        }
        return write_report(
            collected=modules,
            normalised=blocks,
            exact=exact,
            near=near,
            sides=texts,
            inventory=inventory,
            models={label: steps.model for label, steps in branches.items()},
            evaluations={label: steps.evaluation for label, steps in branches.items()},
        )

    if shards:
        return [compared(shards)]

    @expand(texts)
    def comparison(sides: split.SplitStats) -> StepSpec:
        return compared(sides.shards)

    return [texts, comparison]


def branch(label: str, texts: DeclaredStep, vocab_size: int, order: int, shards: int) -> Branch:
    """Declare everything that depends on one vocabulary: tokenizer, tokens, model, evaluation."""
    tokenizer = train_tokenizer.options(name=f"{label}/tokenizer")(
        shards=texts, vocab_size=vocab_size
    )
    trained = train_model.options(name=f"{label}/model")(
        tokens=[
            tokenize.options(name=f"{label}/tokens-{shard}")(
                shards=texts, tokenizer=tokenizer, shard=shard
            )
            for shard in range(shards)
        ],
        tokenizer=tokenizer,
        order=order,
    )
    evaluation = evaluate.options(name=f"{label}/evaluation")(
        model=trained, tokenizer=tokenizer, vocabulary=tokenizer, heldout=texts
    )
    return Branch(trained, evaluation)
