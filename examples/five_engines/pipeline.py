"""A language model of letters, built on this machine, in containers, or on a cluster.

    marin-build apply
    marin-build apply --profile container
    marin-build apply --profile slurm
    marin-build apply --profile ray
    marin-build apply --profile kubernetes --prefix gs://bucket/letters

The steps say what they need; `marin-build.toml` says what each engine is called here. The outputs
are the same. Where an engine takes a step is no part of its identity, so what one engine has built
the next one reuses.
"""

import letters
from marin_build import ResourceConfig, StepSpec, source, step

SEEN = ("declaration", "rights")
UNSEEN = "gettysburg"
ROOM = ResourceConfig.with_cpu(1, ram="512Mi")

clean = step(letters.clean)  # asks for nothing: with Slurm and Ray it stays where `apply` runs
count = step(name="count/{name}", resources=ROOM)(letters.count)
merge = step(name="model", resources=ROOM)(letters.merge)
evaluate = step(name="report")(letters.evaluate)


def pipeline(order: int = 3) -> list[StepSpec]:
    """Declare all steps; `order` is how many letters the model looks back."""
    texts = clean(texts=source("texts"))
    model = merge(counts=[count(texts=texts, name=name, order=order) for name in SEEN])
    return [evaluate(model=model, texts=texts, name=UNSEEN, order=order)]
