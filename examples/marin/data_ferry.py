"""A data ferry: download, normalise, find duplicates, consolidate, tokenize.

An experiment as people write it for Marin: steps are made in main(), and a StepRunner runs them.

    SMOKE_RUN_ID=nightly python data_ferry.py             with Marin
    SMOKE_RUN_ID=nightly marin-build plan -f data_ferry.py
"""

import logging
import os

import corpus
from fray.types import ResourceConfig
from marin.execution.artifact import read_artifact
from marin.execution.step_runner import StepRunner
from marin.execution.step_spec import StepSpec

logger = logging.getLogger(__name__)

MODULES = ["argparse", "ast", "calendar", "csv", "json/decoder", "json/encoder", "textwrap"]
SMALL = ResourceConfig(cpu=1, ram="1g", disk="2g")


def build_steps(run_id: str) -> list[StepSpec]:
    base = f"ferry/{run_id}"
    downloaded = StepSpec(
        name="ferry/download",
        hash_attrs={"modules": MODULES},
        fn=lambda output_path: corpus.download(output_path, MODULES),
        override_output_path=f"{base}/download",
    )
    normalised = StepSpec(
        name="ferry/normalise",
        deps=[downloaded],
        hash_attrs={"min_chars": 80},
        fn=lambda output_path: corpus.normalise(downloaded.output_path, output_path, 80),
        resources=SMALL,
        override_output_path=f"{base}/normalise",
    )
    deduped = StepSpec(
        name="ferry/duplicates",
        deps=[normalised],
        hash_attrs={"mode": "exact"},
        fn=lambda output_path: find_duplicates(normalised.output_path, output_path),
        override_output_path=f"{base}/duplicates",
    )
    consolidated = StepSpec(
        name="ferry/consolidate",
        deps=[normalised, deduped],
        fn=lambda output_path: corpus.consolidate(
            normalised.output_path, deduped.output_path, output_path
        ),
        override_output_path=f"{base}/consolidate",
    )
    tokenized = StepSpec(
        name="ferry/tokenize",
        deps=[consolidated],
        hash_attrs={"lower": True},
        fn=lambda output_path: corpus.tokenize(consolidated.output_path, output_path, lower=True),
        override_output_path=f"{base}/tokens",
    )
    return [downloaded, normalised, deduped, consolidated, tokenized]


def find_duplicates(documents: str, output_path: str) -> None:
    corpus.sign(documents, output_path)
    corpus.find_duplicates([output_path], output_path)


def main() -> None:
    logging.basicConfig(level=logging.INFO)
    steps = build_steps(os.environ.get("SMOKE_RUN_ID", "smoke"))
    StepRunner().run(steps)
    count = read_artifact(steps[-1].output_path, corpus.TokenCount)
    logger.info("%d documents, %d tokens", count.documents, count.tokens)


if __name__ == "__main__":
    main()
