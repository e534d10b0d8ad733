"""Job specs for Kubernetes: valid, and saying exactly what the plan says."""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings

from .support import CHECKOUT, OUTPUTS, Project, check_golden, shellcheck
from .test_emission_fuzz import AWKWARD, CLASSICS, VALUES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jsonschema.protocols import Validator

BUCKET = "memory://bucket/x"
FOLDER = CHECKOUT / "marin_build/engines/kubernetes/schemas"
SCHEMAS = {
    "Job": "job-batch-v1.standalone-strict.json",
    "JobSet": "jobset-v1alpha2-v0.12.0.standalone-strict.json",
}
CONFIG = """\
[kubernetes]
image = "europe-docker.pkg.dev/p/r/marin@sha256:0123456789abcdef0123456789abcdef"
namespace = "research"
service_account = "builder"
queue = "tpus"
priority_class = "low"
working_dir = "/app"
secrets = ["wandb", "hf-token"]
"""
PIPELINE = """\
from pathlib import Path

from marin_build import ResourceConfig, StepSpec, command, source, step


@step(name="corpus/clean", description="Cleans.\\nAll of it.")
def clean(output: Path, level: int) -> dict:
    return {"level": level}


def train(name, resources, **options):
    return StepSpec(name=name, fn=lambda output: None, resources=resources, **options)


def pipeline(level: int = 2):
    cleaned = clean(level=level)
    counted = command(
        "wc -l {lists}/a.txt {corpus} > {output}/n 2> $HOME/$(id -u).err",
        name="corpus/count", deps={"corpus": cleaned}, inputs={"lists": source("lists")},
        env_vars={"GREETING": "it's $(HOME)", "NUMBER": "32", "YES": "yes"}, retries=2,
        resources=ResourceConfig.with_cpu(
            cpu=2.5, ram="512Mi", disk="10Gi", preemptible=False, image="python@sha256:" + "0" * 64,
            regions=("europe-west4", "us-central1"),
        ),
    )
    gpu = train("Train/GPU_small", ResourceConfig.with_gpu("h100", 8, ram="900Gi", cpu=100),
                deps=[cleaned, counted], timeout=3600, version="2026.11.21")
    slow = ResourceConfig.with_cpu(replicas=4, zone="us-central1-a")
    return [
        gpu,
        train("tpu/one", ResourceConfig.with_tpu("v5p-64"), deps=[cleaned]),
        train("tpu/two", ResourceConfig.with_tpu("v5p-64", slice_count=2), deps=[cleaned],
              retries=3, timeout=86400),
        train("fan-out", slow, deps=[cleaned]),
    ]
"""


@pytest.fixture
def cluster(project: Project) -> Project:
    """A pipeline with a step for every kind of node."""
    project.write("marin-build.toml", CONFIG)
    project.write("lists/a.txt", "one\n")
    project.pipeline(PIPELINE)
    return project


def plan(project: Project, *args: str) -> dict[str, str]:
    """Plan for Kubernetes and return the emitted files."""
    done = project.run("plan", "--engine", "kubernetes", "--prefix", BUCKET, "-o", "saved", *args)
    assert (done.code, done.err) == (0, "")
    return {name: data.decode() for name, data in project.tree("saved").items()}


def manifests(files: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return step name -> manifest."""
    found = {}
    for name, text in files.items():
        if name.endswith(".yaml"):
            # What kubectl reads is what libyaml reads, and more than PyYAML's own reader takes.
            document = yaml.load(text, yaml.CSafeLoader)
            assert document == yaml.safe_load(text)
            found[document["metadata"]["annotations"]["marin-build/step"]] = document
    return found


@pytest.fixture
def specs(cluster: Project) -> dict[str, dict[str, Any]]:
    """Step name -> manifest, of the pipeline above."""
    return manifests(plan(cluster))


def pods(document: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield each (Job spec, pod spec) of a manifest."""
    if document["kind"] == "Job":
        yield document["spec"], document["spec"]["template"]["spec"]
        return
    for replicated in document["spec"]["replicatedJobs"]:
        spec = replicated["template"]["spec"]
        yield spec, spec["template"]["spec"]


def check_schema(document: dict[str, Any]) -> None:
    """Fail if a manifest does not follow the schema of its kind."""
    _validator(document["kind"]).validate(document)


@functools.cache
def _validator(kind: str) -> Validator:
    """Return what holds documents against a schema; reading the schema takes a second."""
    schema = json.loads(
        (CHECKOUT / "marin_build/engines/kubernetes/schemas" / SCHEMAS[kind]).read_text()
    )
    found = jsonschema.validators.validator_for(schema)
    found.check_schema(schema)
    return found(schema)


def pod(document: dict[str, Any]) -> dict[str, Any]:
    """Return the only pod spec of a manifest."""
    ((_, found),) = pods(document)
    return found


def container(document: dict[str, Any]) -> dict[str, Any]:
    """Return the only container of a manifest."""
    (found,) = pod(document)["containers"]
    return dict(found)


def words_of(main: dict[str, Any]) -> list[str]:
    """Return the words that start `run-step`; in a gang a shell counts its rank before it."""
    words: list[str] = main.get("args") or main["command"]
    return words


def kubernetes_expands(text: str, variables: Mapping[str, str]) -> str:
    """Return what a container gets for a word of its command or the value of a variable.

    The rules are those of Kubernetes (third_party/forked/golang/expansion): `$(NAME)` is replaced
    where NAME is known, `$$` is one dollar wherever it stands, anything else is text.
    """
    pattern = re.compile(r"\$(?:(\$)|\(([^)]*)\))", re.DOTALL)
    return pattern.sub(lambda found: "$" if found[1] else variables.get(found[2], found[0]), text)


def test_job_specs_are_known_byte_for_byte(cluster: Project) -> None:
    """Else specs that people review change without anybody having meant it."""
    files = plan(cluster)
    document = json.loads(files["plan.json"])
    assert document["engine"] == "kubernetes"
    assert set(document["files"]) == set(files) - {"plan.json"}
    kept = {n: t for n, t in files.items() if n.endswith((".yaml", ".sh"))}
    check_golden("kubernetes_plan", kept)


def test_job_specs_are_the_same_when_planned_twice(cluster: Project) -> None:
    """Else every plan shows differences that mean nothing."""
    assert plan(cluster) == plan(cluster)


def test_job_specs_follow_the_schemas(specs: dict[str, dict[str, Any]]) -> None:
    """Else the cluster refuses them, or drops a misspelt key in silence."""
    assert sorted(specs) == [
        "Train/GPU_small", "corpus/clean", "corpus/count", "fan-out", "tpu/one", "tpu/two",
    ]  # fmt: skip
    for document in specs.values():
        check_schema(document)


def test_the_schemas_would_catch_a_mistake(specs: dict[str, dict[str, Any]]) -> None:
    """Else the test above proves nothing."""
    for name in ("corpus/clean", "tpu/one"):
        (main,) = pod(specs[name])["containers"]
        main["env"] = [{"name": "NUMBER", "value": 32}]
        with pytest.raises(jsonschema.ValidationError):
            check_schema(specs[name])
        main["env"] = [{"name": "NUMBER", "valu": "32"}]
        with pytest.raises(jsonschema.ValidationError):
            check_schema(specs[name])


def test_rules_across_fields_hold(specs: dict[str, dict[str, Any]]) -> None:
    """Else the cluster's webhooks refuse what the schemas let pass."""
    for document in specs.values():
        for spec, pod_spec in pods(document):
            assert pod_spec["restartPolicy"] == "Never", "podFailurePolicy wants it"
            assert spec.get("podReplacementPolicy", "Failed") == "Failed"
            rules = spec["podFailurePolicy"]["rules"]
            assert all(rule["action"] in {"FailJob", "Ignore", "Count"} for rule in rules)
            assert spec["activeDeadlineSeconds"] > 0, "Ignore has no budget of its own"
            assert 0 <= spec["backoffLimit"] <= 2147483647
            for one in pod_spec["containers"]:
                _check_amounts(one["resources"])
                for variable in one.get("env", []):
                    assert re.fullmatch(r"[-._a-zA-Z][-._a-zA-Z0-9]*", variable["name"])
                    assert isinstance(variable.get("value", ""), str)


def _check_amounts(resources: dict[str, Any]) -> None:
    requests, limits = resources.get("requests", {}), resources["limits"]
    assert requests or limits, "Kueue counts what is requested"
    for name, amount in {**requests, **limits}.items():
        assert isinstance(amount, str)
        if "/" in name:  # extended resources: whole numbers, requests equal limits
            assert amount.isdigit()
            assert requests.get(name, amount) == limits[name] == amount
    for name in ("memory", "ephemeral-storage"):
        assert requests.get(name) == limits.get(name)


def test_names_are_short_enough_for_all_that_is_made_of_them(
    specs: dict[str, dict[str, Any]],
) -> None:
    """Else a job is refused, or its pods get no host name."""
    for document in specs.values():
        _check_name(document)
        metadata = document["metadata"]
        for value in metadata["labels"].values():
            assert re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", value)
        assert sum(len(k) + len(v) for k, v in metadata["annotations"].items()) < 256 * 1024


def _check_name(document: dict[str, Any]) -> None:
    name = document["metadata"]["name"]
    assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name)
    if document["kind"] == "Job":
        assert len(name) <= 63
        return
    for replicated in document["spec"]["replicatedJobs"]:
        spec = replicated["template"]["spec"]
        pod_name = (
            f"{name}-{replicated['name']}-{replicated['replicas'] - 1}-"
            f"{spec['completions'] - 1}-abcde"
        )
        assert len(pod_name) <= 63, "the webhook of JobSet counts so"


def test_names_stay_legal_and_different_for_any_step_name(project: Project) -> None:
    """Else a long or odd step name cannot be run, or two steps share one job."""
    names = [
        "a", "A", "-", "_", "9", "9/9", "-a-", "a_b", "a-b", "a.b", "x" * 199, "x" * 198,
        "deep/" * 20 + "er", "UPPER/Case.Name", "very.long_" * 12 + "end", "step-", "v1",
    ]  # fmt: skip
    project.write("marin-build.toml", CONFIG)
    project.pipeline(
        "from marin_build import ResourceConfig, StepSpec\n"
        f"NAMES = {names!r}\n"
        "def fn(output): pass\n"
        "big = ResourceConfig.with_tpu('v5p-1024', slice_count=12)\n"
        "targets = [StepSpec(name=n, fn=fn) for n in NAMES]\n"
        "targets += [StepSpec(name='g' + n, fn=fn, resources=big) for n in NAMES]\n"
        "targets += [StepSpec(name='v' + n[:99], fn=fn, version=v)\n"
        "            for n in NAMES if n != 'x' * 199\n"
        "            for v in ('1.0', '1-0', 'V1', 'v1', '2026.11.21_' + 'x' * 80)]\n"
    )
    texts = [text for name, text in plan(project).items() if name.endswith(".yaml")]
    documents = [yaml.load(text, yaml.CSafeLoader) for text in texts]
    targets: dict[str, list[str]] = {}
    for document in documents:
        metadata = document["metadata"]
        targets.setdefault(metadata["name"], []).append(
            metadata["annotations"]["marin-build/target"]
        )
    assert {name: shared for name, shared in targets.items() if len(shared) > 1} == {}
    for document in documents:
        _check_name(document)


def test_one_slice_is_a_gang_of_its_hosts(specs: dict[str, dict[str, Any]]) -> None:
    """Else a TPU step waits for ever for a node that does not exist."""
    for name, slices in (("tpu/one", 1), ("tpu/two", 2)):
        document = specs[name]
        (replicated,) = document["spec"]["replicatedJobs"]
        spec = replicated["template"]["spec"]
        assert document["kind"] == "JobSet"
        assert replicated["replicas"] == slices
        assert (spec["parallelism"], spec["completions"]) == (8, 8)
        assert (spec["completionMode"], spec["backoffLimit"]) == ("Indexed", 0)
        assert container(document)["resources"]["limits"]["google.com/tpu"] == "4"
        selector = pod(document)["nodeSelector"]
        assert selector["cloud.google.com/gke-tpu-accelerator"] == "tpu-v5p-slice"
        assert selector["cloud.google.com/gke-tpu-topology"] == "2x4x4"
        assert document["metadata"]["annotations"][
            "alpha.jobset.sigs.k8s.io/exclusive-topology"
        ] == "cloud.google.com/gke-nodepool"  # fmt: skip


def test_lost_nodes_restart_a_gang_and_program_errors_do_not(
    specs: dict[str, dict[str, Any]],
) -> None:
    """Else preempted nodes use up the tries, or a broken program restarts for ever."""
    for name, retries in (("tpu/one", 0), ("tpu/two", 3), ("fan-out", 0)):
        document = specs[name]
        policy = document["spec"]["failurePolicy"]
        ((spec, _),) = pods(document)
        assert (policy["maxRestarts"], policy["restartStrategy"]) == (retries, "BlockingRecreate")
        lost, interrupted = spec["podFailurePolicy"]["rules"]
        assert lost == {
            "action": "FailJob",
            "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
        }
        assert interrupted["onExitCodes"]["values"] == [130]
        first = policy["rules"][0]
        assert first["action"] == "RestartJobSetAndIgnoreMaxRestarts"
        assert first["onJobFailureMessagePatterns"] == ["failed with exit code 130 "]
        by_reason = {
            reason: rule["action"]
            for rule in policy["rules"]
            for reason in rule["onJobFailureReasons"]
        }
        assert by_reason["PodFailurePolicy"] == "RestartJobSetAndIgnoreMaxRestarts"
        assert by_reason["DeadlineExceeded"] == "FailJobSet"
        # With tries left, no rule matches: the gang restarts, and it counts.
        assert by_reason.get("BackoffLimitExceeded") == (None if retries else "FailJobSet")
        for rule in policy["rules"]:
            assert re.fullmatch(r"[A-Za-z]([A-Za-z0-9_,:]{0,126}[A-Za-z0-9_])?", rule["name"])


def test_a_step_gets_the_node_it_asks_for(specs: dict[str, dict[str, Any]]) -> None:
    """Else an expensive node stands idle, or a cheap one runs out of memory."""
    gpu = specs["Train/GPU_small"]
    assert pod(gpu)["nodeSelector"]["cloud.google.com/gke-accelerator"] == "nvidia-h100-80gb"
    assert container(gpu)["resources"] == {
        "requests": {"cpu": "100", "memory": "900Gi"},
        "limits": {"memory": "900Gi", "nvidia.com/gpu": "8"},
    }
    assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in (
        pod(gpu)["tolerations"]
    )
    assert next(pods(gpu))[0]["activeDeadlineSeconds"] == 3600 + 60 + 7 * 86400
    count = specs["corpus/count"]
    assert container(count)["image"].startswith("python@sha256:")
    assert container(count)["resources"]["requests"] == {
        "cpu": "2.5", "memory": "512Mi", "ephemeral-storage": "10Gi",
    }  # fmt: skip
    (term,) = pod(count)["affinity"]["nodeAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]["nodeSelectorTerms"]
    assert term["matchExpressions"][0]["values"] == ["europe-west4", "us-central1"]
    assert next(pods(count))[0]["backoffLimit"] == 2
    fan = specs["fan-out"]
    assert next(pods(fan))[0]["completions"] == 4
    assert pod(fan)["nodeSelector"]["topology.kubernetes.io/zone"] == "us-central1-a"


def test_spot_nodes_are_asked_for_with_a_string(specs: dict[str, dict[str, Any]]) -> None:
    """Else `true` is a boolean, which the cluster refuses; or nobody tolerates the taint."""
    for name, document in specs.items():
        label = pod(document).get("nodeSelector", {}).get("cloud.google.com/gke-spot")
        taint = {
            "key": "cloud.google.com/gke-spot", "operator": "Equal", "value": "true",
            "effect": "NoSchedule",
        }  # fmt: skip
        if name == "corpus/count":  # preemptible=False
            assert label is None
            assert taint not in pod(document).get("tolerations", [])
        else:
            assert label == "true"
            assert taint in pod(document)["tolerations"]


def test_the_clusters_settings_reach_every_job(specs: dict[str, dict[str, Any]]) -> None:
    """Else jobs pass by the queue, or run without rights."""
    for name, document in specs.items():
        metadata = document["metadata"]
        assert metadata["namespace"] == "research"
        assert metadata["labels"]["kueue.x-k8s.io/queue-name"] == "tpus"
        assert metadata["labels"]["kueue.x-k8s.io/priority-class"] == "low"
        assert pod(document)["serviceAccountName"] == "builder"
        main = container(document)
        assert main["workingDir"] == "/app"
        assert [one["secretRef"]["name"] for one in main["envFrom"]] == ["wandb", "hf-token"]
        assert words_of(main)[:2] == ["marin-build", "run-step"]
        assert name in metadata["annotations"]["marin-build/step"]


def test_a_job_runs_the_target_of_the_plan(cluster: Project) -> None:
    """Else a job builds another variant than the one that was reviewed."""
    found = manifests(plan(cluster, "--set", "level=9"))
    planned = json.loads(cluster.file("saved/plan.json"))["decisions"]
    targets = {decision["name"]: decision["target"] for decision in planned}
    for name, document in found.items():
        words = words_of(container(document))
        head = ["marin-build", "run-step", "--file", "pipeline.py", "--set", "level=9",
                "--prefix", BUCKET, "--target", targets[name]]  # fmt: skip
        assert words[: len(head)] == head
    count = container(found["corpus/count"])["command"]
    assert [kubernetes_expands(word, {"HOME": "/root"}) for word in count[12:]] == [
        "env",
        f"lists={'lists'}",
        f"corpus={BUCKET}/{targets['corpus/clean']}",
        f"output={BUCKET}/{targets['corpus/count']}",
        "bash", "-euo", "pipefail", "-c",
        'wc -l "${lists}"/a.txt "${corpus}" > "${output}"/n 2> $HOME/$(id -u).err',
    ]  # fmt: skip


def test_a_gang_knows_its_slice(specs: dict[str, dict[str, Any]]) -> None:
    """Else the programs of a gang cannot tell who is who."""
    for name in ("tpu/one", "tpu/two", "fan-out"):
        env = {one["name"]: one for one in container(specs[name])["env"]}
        path = env["MARIN_BUILD_SLICE"]["valueFrom"]["fieldRef"]["fieldPath"]
        assert path == "metadata.labels['jobset.sigs.k8s.io/job-index']"
        assert "MARIN_BUILD_SLICES" in env


PLAIN = """\
import json
from pathlib import Path

from marin_build import command

VALUES = json.loads((Path(__file__).parent / "given.json").read_text())
ENV = {f"E{i}": value for i, value in enumerate(VALUES)}
PARAMS = {f"p{i}": value for i, value in enumerate(VALUES)}


def pipeline(text: str):
    return command(["python3", *[f"{{{name}}}" for name in PARAMS]], name="hostile",
                   params=PARAMS, env_vars=ENV, description=text)
"""


@settings(
    max_examples=int(os.environ.get("E2E_EXAMPLES", "10")),
    deadline=None,
    database=None,
    derandomize="E2E_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
@example(values=CLASSICS, text="$$(HOME)\n---\nkind: Secret")
@example(values=["$$", "$$(HOME)", "$(HOME)", "$(E0)", "a$$b", "$", "$$$", "\U0001f389"], text="x")
@given(values=VALUES, text=AWKWARD)
def test_hostile_values_reach_the_container_as_they_are(
    tmp_path_factory: pytest.TempPathFactory, values: list[str], text: str
) -> None:
    """Else a password with a dollar sign is another password inside the cluster."""
    folder = tmp_path_factory.mktemp("kubernetes")
    for name in ("project", "home"):
        (folder / name).mkdir()
    project = Project(folder / "project", folder / "home")
    project.write("marin-build.toml", CONFIG)
    project.write("given.json", json.dumps(values))
    project.pipeline(PLAIN)
    (document,) = manifests(plan(project, f"--set=text={text}")).values()
    check_schema(document)
    main = container(document)
    known = {"HOME": "/root"}
    for variable in main["env"]:
        known[variable["name"]] = kubernetes_expands(variable["value"], known)
    assert [known[f"E{i}"] for i in range(len(values))] == values
    words = [kubernetes_expands(word, known) for word in main["command"]]
    assert words[words.index("--") :] == ["--", "python3", *values]
    assert words[5] == f"text={text}"


def test_a_short_time_limit_is_not_none(project: Project) -> None:
    """Else a step that may run for half a second is killed before it begins."""
    project.write("marin-build.toml", CONFIG)
    project.pipeline(
        "from marin_build import StepSpec\n"
        "targets = [StepSpec(name='quick', fn=lambda output: None, timeout=0.5)]\n"
    )
    (document,) = manifests(plan(project)).values()
    assert document["spec"]["activeDeadlineSeconds"] == 1 + 60 + 7 * 86400


def test_built_targets_get_no_job(project: Project) -> None:
    """Else what is built is paid for again."""
    project.write("marin-build.toml", CONFIG)
    project.pipeline(
        "from marin_build import command\n"
        "one = command('touch {output}/x', name='one', outputs=())\n"
        "targets = [command('touch {output}/x {one}', name='two', deps={'one': one}, outputs=())]\n"
    )
    script = (
        "import sys\n"
        "from marin_build.plan.decide import make_plan\n"
        "from marin_build.plan.snapshot import Observed, Snapshot\n"
        + EMIT_HEAD
        + "snapshot = Snapshot({0: Observed('SUCCESS'), 1: Observed()})\n"
        + EMIT_TAIL
    )
    files = emit(project, script)
    assert [name for name in files if name.endswith(".yaml")] == [
        name for name in files if name.startswith("steps/two_")
    ]


EMIT_HEAD = """
import json, os
from marin_build.engines.emission import emit_for
from marin_build.engines.registry import open_engine
from marin_build.engines.settings import Table
from marin_build.pipeline.targets import make_targets
from marin_build.pipeline.graph import build_graph
from marin_build.pipeline.load import load_pipeline
from marin_build.workspace.workspace import Workspace

root = os.getcwd()
workspace = Workspace(root, "gs://bucket/x y")
loaded = load_pipeline(root + "/pipeline.py", workspace, {})
targets = make_targets(build_graph(loaded.roots), workspace)
"""
EMIT_TAIL = """
plan = make_plan(targets, snapshot, targets.requested)
table = Table("kubernetes", {"image": "image"}, "here")
engine = open_engine("kubernetes", {"kubernetes": table})
files = emit_for(engine, plan, pipeline="pipeline.py", parameters={}, overrides=None)
print(json.dumps(files))
"""


def emit(project: Project, script: str) -> dict[str, str]:
    """Run a script that emits a plan without asking a store; return the files."""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=project.root,
        env=project.environ(),
        capture_output=True,
        text=True,
        check=True,
    )
    files: dict[str, str] = json.loads(done.stdout)
    return files


def test_buckets_of_google_are_named_as_they_are(cluster: Project) -> None:
    """Else jobs write to another place than the plan says."""
    script = (
        "from marin_build.plan.decide import make_plan\n"
        "from marin_build.plan.snapshot import Observed, Snapshot\n"
        + EMIT_HEAD
        + "snapshot = Snapshot({i: Observed() for i in range(len(targets))})\n"
        + EMIT_TAIL
    )
    found = manifests(emit(cluster, script))
    assert len(found) == 6
    for document in found.values():
        words = words_of(container(document))
        assert words[words.index("--prefix") + 1] == "gs://bucket/x y"
    assert not (cluster.root / OUTPUTS).exists()


def test_a_local_prefix_is_refused(cluster: Project) -> None:
    """Else every pod builds on a disk that dies with it."""
    done = cluster.run("plan", "--engine", "kubernetes", "-o", "saved")
    assert (done.code, done.out) == (4, "")
    assert done.err == (
        "error: pods cannot see the prefix `.marin-build/outputs`\n"
        "hint: give a bucket: --prefix gs://bucket/path\n"
    )
    assert not (cluster.root / "saved").exists()


def test_all_that_is_missing_is_said_at_once(cluster: Project) -> None:
    """Else people fix one line, plan, and meet the next."""
    cluster.write("marin-build.toml", '[kubernetes]\nnamespace = "x"\n')
    done = cluster.run("plan", "--engine", "kubernetes", "--prefix", BUCKET, "-o", "saved")
    hint = "hint: set `image` in [tool.marin-build.kubernetes], or on the step's resources\n"
    missing = ["corpus/clean", "Train/GPU_small", "tpu/one", "tpu/two", "fan-out"]
    assert (done.code, done.out) == (4, "")
    assert done.err == "\n".join(
        f"error: `{name}` has no image to run in\n{hint}" for name in missing
    )


@pytest.mark.parametrize(
    ("table", "error"),
    [
        ("nmespace = 'x'", "unknown setting `kubernetes.nmespace`"),
        ("namespace = 3", "the setting `kubernetes.namespace` is not a string"),
        ("secrets = 'a'", "the setting `kubernetes.secrets` is not a list"),
        ("secrets = [1]", "the setting `kubernetes.secrets` is not a list"),
        ("deadline = 'long'", "the setting `kubernetes.deadline` is not an integer"),
        ("deadline = true", "the setting `kubernetes.deadline` is not an integer"),
        ("deadline = -5", "the setting `kubernetes.deadline` "),
    ],
)
def test_wrong_settings_are_refused(cluster: Project, table: str, error: str) -> None:
    """Else a misspelt setting is as good as none."""
    cluster.write("marin-build.toml", f"[kubernetes]\nimage = 'image'\n{table}\n")
    done = cluster.run("plan", "--engine", "kubernetes", "--prefix", BUCKET, "-o", "saved")
    assert (done.code, done.out) == (4, "")
    assert done.err.startswith(f"error: {error}")
    assert not (cluster.root / "saved").exists()


def test_applying_without_a_cluster_says_so(cluster: Project) -> None:
    """Else it is built on this machine, or a traceback is all there is to read."""
    words = ("apply", "--engine", "kubernetes", "--prefix", BUCKET)
    for more in ((), ("--detach",)):
        done = cluster.run(*words, *more, env={"KUBECONFIG": str(cluster.root / "none")})
        assert (done.code, done.out) == (4, "")
        assert "  nothing was submitted\n" in done.err
        what = "starts no job after others" if more else "no cluster is configured here"
        assert done.err.startswith("error: ")
        assert what in done.err.splitlines()[0]


def test_a_tag_is_warned_of(cluster: Project) -> None:
    """Else the pods of a reviewed plan run another image than its reviewer saw."""
    cluster.write("marin-build.toml", '[kubernetes]\nimage = "registry.example/lm:new"\n')
    done = cluster.run("plan", "--engine", "kubernetes", "--prefix", BUCKET)
    assert done.code == 0
    assert done.err == (
        "warning: the image `registry.example/lm:new` of `corpus/clean`, `Train/GPU_small`, "
        "`tpu/one` and 2 more may be another one when its pods start: name it by its digest, "
        "`...@sha256:...`\n"
    )


def test_what_a_cluster_would_refuse_is_said_before_anything_is_written(cluster: Project) -> None:
    """Else it is found out by a cluster, one step after the other; of a gang it never is."""
    pod = (CHECKOUT / "templates/kubernetes/pod.yaml.j2").read_text()
    pod = pod.replace("imagePullPolicy: IfNotPresent", "imagePullPolicy: Sometimes")
    pod = pod.replace("workingDir: {{ cluster.working_dir | yaml }}", "workingDir: app")
    job = (CHECKOUT / "templates/kubernetes/job.yaml.j2").read_text()
    job = job.replace("spec:\n  backoffLimit:", "spec:\n  bakoffLimit:", 1)
    cluster.write("my/kubernetes/pod.yaml.j2", pod)
    cluster.write("my/kubernetes/job.yaml.j2", job)
    cluster.write("marin-build.toml", 'templates = "my"\n' + CONFIG)
    done = cluster.run("plan", "--engine", "kubernetes", "--prefix", BUCKET, "-o", "saved")
    assert (done.code, done.out) == (4, "")
    assert not (cluster.root / "saved").exists()
    said = re.sub(r"_[0-9a-f]{8}`", "`", done.err)
    jobs = "`corpus/clean`, `corpus/count` and `Train/GPU_small@2026.11.21`"
    gangs = "`tpu/one`, `tpu/two` and `fan-out`"
    main = "spec.template.spec.containers[0]"
    child = f"spec.replicatedJobs[0].template.{main}"
    policy = "imagePullPolicy: `Sometimes` is none of Always, IfNotPresent, Never"
    folder = "workingDir: `app` is not an absolute path: no container starts in it"
    assert said == (
        f"error: a cluster would refuse the manifests of {jobs}\n"
        "  field:    spec.bakoffLimit is unknown\n"
        f"  field:    {main}.{policy}\n"
        "  template: kubernetes/job.yaml.j2\n"
        "  nothing was written or submitted\n\n"
        f"error: a cluster would take, and never run as it should, the manifests of {jobs}\n"
        f"  field:    {main}.{folder}\n"
        "  template: kubernetes/job.yaml.j2\n"
        "  nothing was written or submitted\n\n"
        f"error: a cluster would take, and never run as it should, the manifests of {gangs}\n"
        f"  field:    {child}.{policy}\n"
        f"  field:    {child}.{folder}\n"
        "  template: kubernetes/jobset.yaml.j2\n"
        "  nothing was written or submitted\n"
    )


KUBECTL = """\
#!/bin/bash
# Stands for kubectl: notes what is applied; a job runs when it is asked about first, then ends.
case $1 in
  apply)
    while [ $# -gt 1 ]; do [ "$1" != --dry-run=server ] || echo 'dry run' >> "$LOG"; shift; done
    [ -d "$1" ] || echo "apply $1" >> "$LOG"
    ;;
  get)
    if [ -e "$LOG.$3" ]; then echo "ended $3" >> "$LOG"; echo "SuccessCriteriaMet $ENDS"
    else touch "$LOG.$3"; echo Suspended; fi
    ;;
esac
"""


@pytest.mark.parametrize("ends", ["Complete", "Completed", "Failed"])
def test_the_script_submits_what_is_needed_first(cluster: Project, ends: str) -> None:
    """Else all pods start at once, and those whose needs are not built yet fail."""
    plan(cluster)
    program = cluster.write("bin/kubectl", KUBECTL)
    program.chmod(0o755)
    log = cluster.root / "kubectl.log"
    done = cluster.execute(
        ["bash", str(cluster.root / "saved" / "submit.sh")],
        env={"PATH": f"{program.parent}:{os.environ['PATH']}", "LOG": str(log), "ENDS": ends,
             "MARIN_BUILD_POLL": "0"},
    )  # fmt: skip
    said = log.read_text().splitlines()
    waves = [
        ["corpus/clean"], ["corpus/count", "tpu/one", "tpu/two", "fan-out"], ["Train/GPU"],
    ]  # fmt: skip
    assert said[0] == "dry run"
    applied = [line for line in said if line.startswith("apply")]
    if ends == "Failed":
        assert (done.code, len(applied)) == (1, len(waves[0]))
        assert "to try again, delete that and start this script again" in done.err
        return
    assert (done.code, done.err) == (0, "")
    rest = iter(said[1:])
    for wave in waves:
        lines = [next(rest) for _ in wave]
        assert all(f"/{name}_" in line for name, line in zip(wave, lines, strict=True))
        if wave is not waves[-1]:
            assert all(next(rest).startswith("ended mb-") for _ in wave)
    assert list(rest) == []


def test_shellcheck_has_nothing_to_say(cluster: Project) -> None:
    """Else a script that looks right does something else in another shell."""
    plan(cluster)
    shellcheck(cluster.root / "saved" / "submit.sh")
