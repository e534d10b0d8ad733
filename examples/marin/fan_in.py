"""Thirty-six tokenized components, one training on a TPU, three evaluations, a summary.

An experiment as people write it for Marin today: each artifact has a name and a version.

    python fan_in.py --version 2026.11.01 --run              with Marin
    marin-build plan -f fan_in.py --set version=2026.11.01
    export TRAIN_ON=v5p-8
    marin-build plan -f fan_in.py --set version=2026.11.01 --engine kubernetes -o jobs
"""

import os
from dataclasses import dataclass

import bigrams
import corpus
from fray.types import ResourceConfig
from marin.execution.artifact import Artifact
from marin.execution.build_context import resolve_version
from marin.execution.lazy import ArtifactStep, StepContext
from marin.execution.remote import remote
from marin.experiment.cli import experiment_main

COMPONENTS = """
argparse ast base64 bdb calendar cmd codecs configparser contextlib copy csv dataclasses datetime
difflib dis doctest enum fileinput fractions ftplib functools gettext gzip heapq imaplib inspect
ipaddress locale mailbox mimetypes optparse os pdb pickle platform plistlib
""".split()
HELD_OUT = ("json/decoder", "textwrap", "json/scanner")


class Tokens(Artifact):
    """A tokenized text."""

    documents: int
    tokens: int


class Model(Artifact):
    """A trained model."""


class Score(Artifact):
    """How well a model guesses a text."""

    bits_per_token: float
    tokens: float


class Summary(Artifact):
    """A table of scores."""


@dataclass(frozen=True)
class TokenizeConfig:
    output_path: str
    module: str
    lower: bool


def tokenize(config: TokenizeConfig) -> Tokens:
    parts = [f"{config.output_path}/{part}" for part in ("raw", "normalised", "tokens")]
    corpus.download(parts[0], [config.module])
    corpus.normalise(parts[0], parts[1])
    count = corpus.tokenize(parts[1], parts[2], lower=config.lower)
    return Tokens(documents=count.documents, tokens=count.tokens)


def train(config: bigrams.Training) -> Model:
    bigrams.train(config)
    return Model()


def evaluate(config: bigrams.Evaluation) -> Score:
    return Score.model_validate(bigrams.evaluate(config))


def summarise(config: bigrams.Summary) -> Summary:
    bigrams.summarise(config)
    return Summary()


def train_resources() -> ResourceConfig:
    """Return a TPU where the environment names one; else this machine serves."""
    tpu = os.environ.get("TRAIN_ON")
    return ResourceConfig.with_tpu(tpu) if tpu else ResourceConfig.with_cpu(cpu=1, ram="2g")


def component(module: str) -> ArtifactStep[Tokens]:
    return ArtifactStep(
        name=f"tokenized/{module}",
        version="2026.11.01",
        artifact_type=Tokens,
        run=tokenize,
        build_config=lambda ctx: TokenizeConfig(ctx.output_path, module, lower=True),
    )


def tokens_of(ctx: StepContext, step: ArtifactStep[Tokens]) -> str:
    return f"{ctx.artifact_path(step)}/tokens"


def build() -> list[ArtifactStep]:
    train_on = [component(module) for module in COMPONENTS]
    held_out = {module: component(module) for module in HELD_OUT}
    model = ArtifactStep(
        name="model",
        version=resolve_version("model", None),
        artifact_type=Model,
        run=remote(train, resources=train_resources()),
        build_config=lambda ctx: bigrams.Training(
            output_path=ctx.output_path,
            model=bigrams.Model(smoothing=0.05),
            tokens={step.name: tokens_of(ctx, step) for step in train_on},
            weights={step.name: 1.0 for step in train_on},
        ),
        deps=tuple(train_on),
    )
    scores = {
        module: ArtifactStep(
            name=f"scores/{module}",
            version=resolve_version(f"scores/{module}", None),
            artifact_type=Score,
            run=evaluate,
            build_config=lambda ctx, text=text: bigrams.Evaluation(
                output_path=ctx.output_path,
                model_path=ctx.artifact_path(model),
                tokens_path=tokens_of(ctx, text),
            ),
            deps=(model, text),
        )
        for module, text in held_out.items()
    }
    summary = ArtifactStep(
        name="summary",
        version=resolve_version("summary", None),
        artifact_type=Summary,
        run=summarise,
        build_config=lambda ctx: bigrams.Summary(
            output_path=ctx.output_path,
            evaluations={name: ctx.artifact_path(step) for name, step in scores.items()},
        ),
        deps=tuple(scores.values()),
    )
    return [summary]


if __name__ == "__main__":
    experiment_main(build)()
