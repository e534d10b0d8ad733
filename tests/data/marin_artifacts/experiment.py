"""An experiment as Marin's users write it: raw data, tokens, a model, and data that was there."""

import os
from dataclasses import dataclass

from marin.execution.artifact import Artifact
from marin.execution.lazy import OUT, ArtifactStep, apply, run

VERSION = os.environ.get("VERSION", "2026.10.02")
LR = float(os.environ.get("LR", "0.003"))


class Tokens(Artifact):
    tokenizer: str
    count: int


class Model(Artifact):
    loss: float


@dataclass(frozen=True)
class Optimizer:
    lr: float
    clip: float = float("inf")


@dataclass(frozen=True)
class TrainConfig:
    output_path: str
    tokens: str
    optimizer: Optimizer
    chips: str


def download(output_path, words):
    os.makedirs(output_path, exist_ok=True)
    with open(f"{output_path}/text.txt", "w") as file:
        file.write(" ".join(words))


def tokenize(config):
    with open(f"{config['raw']}/text.txt") as file:
        words = file.read().split()
    os.makedirs(config["out"], exist_ok=True)
    with open(f"{config['out']}/tokens.txt", "w") as file:
        file.write("\n".join(words))
    return Tokens(tokenizer=config["tokenizer"], count=len(words))


def train(config):
    with open(f"{config.tokens}/tokens.txt") as file:
        count = len(file.read().split())
    os.makedirs(config.output_path, exist_ok=True)
    with open(f"{config.output_path}/weights.txt", "w") as file:
        file.write(f"{count * config.optimizer.lr}")
    return Model(loss=config.optimizer.lr)


raw = apply("raw/words", download, version="2026.09.01", output_path=OUT, words=["a", "b", "c"])
tokens = ArtifactStep(
    name="tokenized/words",
    version="2026.09.02",
    artifact_type=Tokens,
    run=tokenize,
    build_config=lambda ctx: {
        "out": ctx.output_path,
        "raw": ctx.artifact_path(raw),
        "tokenizer": "llama3",
    },
    deps=(raw,),
)
model = ArtifactStep(
    name="checkpoints/tiny",
    version=VERSION,
    artifact_type=Model,
    run=train,
    build_config=lambda ctx: TrainConfig(
        ctx.output_path, ctx.artifact_path(tokens), Optimizer(LR), ctx.runtime_arg("chips")
    ),
    deps=(tokens,),
    runtime_args={"chips": "v5p-8"},
)
external = ArtifactStep.adopt(
    "external/words", "2026.09.03", "elsewhere/words", config={"tokenizer": "llama3"}
)

if __name__ == "__main__":
    run(model, external)
