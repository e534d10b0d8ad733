"""Ninety sources through six stages, with two joins over all of them: 543 steps.

An experiment of the time when Marin had an executor: its data is made by StepSpecs, which are
parts of the configuration of ExecutorSteps.

    python fan_out.py --prefix /data                       with Marin of that time
    marin-build plan -f fan_out.py
"""

from dataclasses import dataclass, field

import bigrams
import corpus
from fray.cluster import ResourceConfig
from marin.execution import (
    ExecutorStep,
    executor_main,
    output_path_of,
    this_output_path,
    versioned,
)
from marin.execution.remote import remote
from marin.execution.step_spec import StepSpec

SOURCES = """
abc argparse ast base64 bdb bisect calendar cmd code codecs codeop colorsys compileall configparser
contextlib copy copyreg csv dataclasses datetime decimal difflib dis doctest enum filecmp fileinput
fnmatch fractions ftplib functools genericpath getopt getpass gettext glob graphlib gzip hashlib
heapq hmac imaplib inspect io ipaddress keyword linecache locale lzma mailbox mimetypes modulefinder
netrc ntpath numbers opcode operator optparse os pdb pickle pickletools pkgutil platform plistlib
poplib posixpath pprint profile pstats pty py_compile pyclbr queue quopri random reprlib rlcompleter
runpy sched secrets selectors shelve shlex shutil signal site smtplib socket socketserver
""".split()


@dataclass(frozen=True)
class MixtureConfig:
    output_path: str
    tokens: dict[str, str]
    temperature: float


@dataclass(frozen=True)
class TrainConfig:
    output_path: str
    mixture_path: str
    tokens: dict[str, str]
    model: bigrams.Model = field(default_factory=bigrams.Model)


def build_tokenized() -> dict[str, StepSpec]:
    """All sources, tokenized; what is in more than one of them is in the first one only."""
    raw = {name: raw_step(name) for name in SOURCES}
    normalised = {name: normalise_step(name, step) for name, step in raw.items()}
    signed = {name: sign_step(name, step) for name, step in normalised.items()}
    duplicates = duplicates_step(list(signed.values()))
    consolidated = {
        name: consolidate_step(name, step, duplicates) for name, step in normalised.items()
    }
    sampled = {name: sample_step(name, step) for name, step in consolidated.items()}
    return {name: tokenize_step(name, step) for name, step in sampled.items()}


def raw_step(name: str) -> StepSpec:
    return StepSpec(
        name=f"raw/{name}",
        hash_attrs={"module": name},
        fn=lambda output_path: corpus.download(output_path, [name]),
    )


def normalise_step(name: str, raw: StepSpec) -> StepSpec:
    return StepSpec(
        name=f"normalised/{name}",
        deps=[raw],
        hash_attrs={"min_chars": 80},
        fn=lambda output_path: corpus.normalise(raw.output_path, output_path, 80),
    )


def sign_step(name: str, documents: StepSpec) -> StepSpec:
    return StepSpec(
        name=f"signed/{name}",
        deps=[documents],
        fn=lambda output_path: corpus.sign(documents.output_path, output_path),
    )


def duplicates_step(signed: list[StepSpec]) -> StepSpec:
    return StepSpec(
        name="duplicates",
        deps=signed,
        hash_attrs={"mode": "exact"},
        fn=lambda output_path: corpus.find_duplicates(
            [step.output_path for step in signed], output_path
        ),
    )


def consolidate_step(name: str, documents: StepSpec, duplicates: StepSpec) -> StepSpec:
    return StepSpec(
        name=f"consolidated/{name}",
        deps=[documents, duplicates],
        fn=lambda output_path: corpus.consolidate(
            documents.output_path, duplicates.output_path, output_path
        ),
    )


def sample_step(name: str, documents: StepSpec) -> StepSpec:
    return StepSpec(
        name=f"sampled/{name}",
        deps=[documents],
        hash_attrs={"percent": 70},
        fn=lambda output_path: corpus.sample(documents.output_path, output_path, 70),
    )


def tokenize_step(name: str, documents: StepSpec) -> StepSpec:
    return StepSpec(
        name=f"tokenized/{name}",
        deps=[documents],
        hash_attrs={"lower": True},
        fn=lambda output_path: corpus.tokenize(documents.output_path, output_path, lower=True),
    )


def write_weights(config: MixtureConfig) -> None:
    """Give each source a weight: the more tokens it has, the less each of them counts."""
    lines = []
    for name, path in config.tokens.items():
        count = sum(map(len, corpus.token_lists(path)))
        lines.append(f"{name}\t{max(count, 1) ** (config.temperature - 1):.6f}\n")
    corpus.write_text(f"{config.output_path}/weights.tsv", "".join(lines))


def train(config: TrainConfig) -> None:
    table = corpus.read_text(f"{config.mixture_path}/weights.tsv").splitlines()
    weights = {name: float(weight) for name, weight in (line.split("\t") for line in table)}
    bigrams.train(bigrams.Training(config.output_path, config.model, config.tokens, weights))


tokens = {name: step.as_executor_step() for name, step in build_tokenized().items()}

mixture = ExecutorStep(
    name="mixture",
    fn=write_weights,
    config=MixtureConfig(
        output_path=this_output_path(),
        tokens={name: output_path_of(step) for name, step in tokens.items()},
        temperature=versioned(0.7),
    ),
)

model = ExecutorStep(
    name="model",
    description="A model of all sources.",
    fn=remote(train, resources=ResourceConfig.with_cpu(cpu=1, ram="2g")),
    config=TrainConfig(
        output_path=this_output_path(),
        mixture_path=output_path_of(mixture),
        tokens={name: output_path_of(step) for name, step in tokens.items()},
        model=versioned(bigrams.Model(smoothing=0.05)),
    ),
)

if __name__ == "__main__":
    executor_main(steps=[model], description="What 90 modules have in common")
