"""Every line of a plan has a reason a person understands and a name a program can rely on."""

from __future__ import annotations

import json
import re
from typing import get_args

import pytest

from marin_build.plan import block_reasons as blocks
from marin_build.plan import reasons as why
from marin_build.plan.decisions import Decision, Kind
from marin_build.plan.nearest_build import nearest_change
from marin_build.plan.reason_facts import describe_reasons, identity_change_in, stable_facts
from marin_build.plan.reason_text import describe, describe_decision, describe_stably, reason_kind
from marin_build.plan.snapshot import Earlier
from marin_build.protocol.record_reader import Built

AT = "2026-11-21T10:20:30+00:00"
EXAMPLES: list[tuple[why.Reason, str, str, dict[str, object]]] = [
    (why.NeverBuilt(), "never_built", "never built", {}),
    (
        why.FailedBefore(2, 137, "killed by SIGKILL\nmore", "ada@host", AT),
        "failed_before",
        "failed before (attempt 2, 2026-11-21 10:20 UTC by ada@host): killed by SIGKILL",
        {"attempt": 2, "exit_code": 137},
    ),
    (
        why.FailedBefore(2, 3, "", "ada@host", ""),
        "failed_before",
        "failed before (attempt 2): exit code 3",
        {"attempt": 2, "exit_code": 3},
    ),
    (
        why.FailedBefore(0, None, "", "", ""),
        "failed_before",
        "failed before",
        {"attempt": 0, "exit_code": None},
    ),
    (why.Interrupted("ada@host"), "interrupted", "interrupted (the run by ada@host is gone)", {}),
    (why.Interrupted(""), "interrupted", "interrupted", {}),
    (
        why.IdentityChanged(
            (why.Change("attrs.n", 1, 2, "attrs.n 1 -> 2"),), "s_1", "r-1", "ada", "2026"
        ),
        "identity_changed",
        "attrs.n 1 -> 2",
        {"since": "s_1", "changes": [{"path": "attrs.n", "old": 1, "new": 2}]},
    ),
    (
        why.IdentityChanged(
            (
                why.Change("deps.a", "a_1", "a_2", "needs a, which changed", "attrs.n 1 -> 2"),
                why.Change("deps.b", None, "b_2", "needs b_2, which it did not"),
            ),
            "s_1", "r-1", "ada", "2026",
        ),
        "identity_changed",
        "needs a, which changed: attrs.n 1 -> 2 and 1 more",
        {
            "since": "s_1",
            "changes": [
                {"path": "deps.a", "old": "a_1", "new": "a_2", "because": "attrs.n 1 -> 2"},
                {"path": "deps.b", "old": None, "new": "b_2"},
            ],
        },
    ),
    (
        why.IdentityChanged((), "s_1", "r-1", "ada", "2026"),
        "identity_changed",
        "built as s_1, which differs by its hash only",
        {"since": "s_1", "changes": []},
    ),
    (
        why.Doubtful("r-1"),
        "doubtful",
        "built by run r-1, but the machine went down before it was surely on disk",
        {},
    ),
    (
        why.OutputVanished("r-1", "ada@host", "2026-11-21T10:20:30+00:00"),
        "output_vanished",
        "built 2026-11-21 10:20 UTC by ada@host, run r-1, but its status is gone",
        {},
    ),
    (
        why.OutputVanished("r-1", "ada@host", "2026-11-21T10:20:30+00:00", ("`a` is missing",)),
        "output_vanished",
        "built 2026-11-21 10:20 UTC by ada@host, run r-1, but `a` is missing",
        {"lost": ["`a` is missing"]},
    ),
    (
        blocks.OutputAltered(("`a` has 4 B, not 3 B", "`b` is new")),
        "output_altered",
        (
            "its output was changed since it was built: `a` has 4 B, not 3 B and 1 more"
            " (put that right, or build it again with --force or `marin-build taint`)"
        ),
        {"changed": ["`a` has 4 B, not 3 B", "`b` is new"]},
    ),
    (
        why.Tainted("wrong dump", "ada@host", "2026-11-21T10:20:30+00:00"),
        "tainted",
        "tainted 2026-11-21 10:20 UTC by ada@host: wrong dump",
        {"reason": "wrong dump"},
    ),
    (why.Forced(), "forced", "forced", {}),
    (why.AssumedChanged(), "assumed_changed", "assumed to have changed", {}),
    (why.AssumedBuilt(), "assumed_built", "assumed to be built", {}),
    (
        why.Adopted("gs://b/old", 412, 5_000_000, "ada@host", "2026-11-21T10:20:30+00:00"),
        "adopted",
        "existing output, 412 files verified, 4.8 MiB: gs://b/old",
        {"location": "gs://b/old", "files": 412, "bytes": 5_000_000},
    ),
    (
        why.Accepted("r-1", "bob", "2026", "a log line", "ada@host", "2026-11-21T10:20:30+00:00"),
        "accepted",
        "its code or environment changed, accepted 2026-11-21 10:20 UTC by ada@host: a log line",
        {"reason": "a log line"},
    ),
    (why.DevVersion(), "dev_version", "dev version, rebuilt each time", {}),
    (why.Cascade("raw_1"), "cascade", "needs raw_1, which is rebuilt", {"upstream": "raw_1"}),
    (
        why.DependencyFailed(),
        "dependency_failed",
        "a dependency failed when it was last tried",
        {},
    ),
    (
        why.BuiltBefore("r-1", "ada@host", "2026-11-21T10:20:30.123+00:00"),
        "built_before",
        "built 2026-11-21 10:20 UTC by ada@host, run r-1",
        {},
    ),
    (why.BuiltBefore("", "", ""), "built_before", "built", {}),
    (why.SealedBefore("ada"), "sealed_before", "committed by ada, about to be published", {}),
    (
        why.HeldBy("ada, run r-1", "2026-11-21T10:20:30+00:00", 60.0),
        "held_by",
        "held by ada, run r-1; renewed 2026-11-21 10:20:30 UTC by its own clock, lease 60 s",
        {},
    ),
    (
        why.HeldByWork("ada, run r-1", 7, "bash -c x", 2),
        "held_by_work",
        (
            "its holder ada, run r-1 is dead, but pid 7 (`bash -c x`) and 1 more still works on it "
            "(wait, or `marin-build unlock TARGET --kill`)"
        ),
        {},
    ),
    (blocks.FailureKept(3), "failure_kept", "failed previously (attempt 3)", {"attempt": 3}),
    (blocks.FailureKept(0), "failure_kept", "failed previously", {"attempt": 0}),
    (blocks.ResultNotSaved(3), "result_not_saved",
     ("finished (attempt 3), but what it returned could not be saved: its output is kept "
     "(marin-build commit, or --force builds it again)"),
     {"attempt": 3}),
    (blocks.UpstreamBlocked("a_1"), "upstream_blocked", "needs a_1, which is blocked",
     {"upstream": "a_1"}),
    (blocks.NothingBuildsIt(), "nothing_builds_it",
     "nothing builds it, and its output is not there", {}),
    (blocks.Unreadable("record", "/o/a_1/.executor_info"), "unreadable",
     ("its record is not readable: /o/a_1/.executor_info (delete it to use the output without "
     "its history, or build it again with --force)"),
     {"what": "record"}),
    (blocks.Unreadable("status", "/o/a_1/.executor_status"), "unreadable",
     ("its status is not readable: /o/a_1/.executor_status (look at the output; write FAILED "
     "into the file to build it again)"),
     {"what": "status"}),
    (blocks.Unreadable("lease", "/o/a_1/.executor_status.lock"), "unreadable",
     ("its lease is not readable: /o/a_1/.executor_status.lock (make sure that no run builds it, "
     "then delete the file)"),
     {"what": "lease"}),
    (blocks.Unreadable("taint", "/o/.marin-build/tainted/a_1.json"), "unreadable",
     ("its taint is not readable: /o/.marin-build/tainted/a_1.json (delete it, and taint the "
     "target again)"),
     {"what": "taint"}),
    (blocks.DeviceMissing("gpu", 8, 0, ("kubernetes",)), "device_missing",
     ("needs 8 GPUs, this machine has none "
     "(--engine kubernetes, or --budget gpu=8 if it has them after all)"),
     {"device": "gpu", "needed": 8}),
    (blocks.DeviceMissing("tpu", 1, 0, ("kubernetes",)), "device_missing",
     ("needs 1 TPU chip, this machine has none "
     "(--engine kubernetes, or --budget tpu=1 if it has them after all)"),
     {"device": "tpu", "needed": 1}),
    (blocks.SeveralHosts(8, ("kubernetes",)), "several_hosts",
     "runs on 8 machines at once (--engine kubernetes)", {"hosts": 8}),
    (blocks.OverBudget("api", 3, 2), "over_budget",
     "needs 3 of the budget `api`, and there is 2 (--budget)",
     {"budget": "api", "needed": 3, "found": 2}),
    (blocks.ForeignData("train", 3, 2048, ("a", "b", "c"), "l"), "foreign_data",
     ("foreign data: `a` and 2 more, 2.0 KiB, which no build of ours left (keep it: marin-build "
     "adopt train; delete it: --overwrite train; or give the step another version or output path)"),
     {"files": 3, "bytes": 2048, "paths": ["a", "b", "c"], "listing": "l"}),
    (why.Overwrites(1, 3, ("a",), "l"), "overwrites",
     "deletes foreign data: `a`, 3 B (--overwrite)",
     {"files": 1, "bytes": 3, "paths": ["a"], "listing": "l"}),
    (why.Overwrites(0, 0, ("sub",), "l"), "overwrites",
     "deletes foreign data: empty folders (--overwrite)",
     {"files": 0, "bytes": 0, "paths": ["sub"], "listing": "l"}),
    (blocks.NotAFolder("a symbolic link to `/data/corpus`", "/o/a 1"), "not_a_folder",
     ("a symbolic link to `/data/corpus` lies in the place of its output: /o/a 1 "
     "(remove it: rm '/o/a 1'; or give the step another output path)"),
     {"found": "a symbolic link"}),
    (blocks.BlockedInPlan(), "blocked_in_plan", "blocked when the plan was made", {}),
    (
        why.LetGo(),
        "let_go",
        "its output was deleted once what needs it was built (temp=True)",
        {},
    ),
    (why.Deleted(), "deleted", "gc has begun to delete it", {}),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "kind", "text", "facts"), EXAMPLES)
def test_a_reason_in_words_and_as_data(
    reason: why.Reason, kind: str, text: str, facts: dict[str, object]
) -> None:
    assert reason_kind(reason) == kind
    assert describe(reason) == text
    assert stable_facts(reason) == facts
    json.dumps(facts)


def test_emitted_files_say_neither_who_nor_when() -> None:
    """Else the same plan has other bytes on another machine."""
    for reason, *_ in EXAMPLES:
        if not isinstance(reason, why.ReuseReason):
            text = describe_stably(reason)
            assert not re.search(r"\bada\b|2026|r-1|/o/", text)


def test_no_reason_is_without_words() -> None:
    assert {type(example[0]) for example in EXAMPLES} == set(get_args(why.Reason))


@pytest.mark.parametrize("reason", [reason for reason, *_ in EXAMPLES])
def test_a_saved_plan_has_the_words_of_a_plan(reason: why.Reason) -> None:
    """Else the page of a saved plan says `output vanished`, and no other command does."""
    facts = json.loads(json.dumps({"kind": reason_kind(reason), **stable_facts(reason)}))
    assert describe_reasons([facts]) == describe_stably(reason)
    assert describe_reasons([]) == describe_reasons([{"kind": "of a later version"}]) == ""


def test_a_saved_plan_has_the_words_of_values_that_are_null() -> None:
    """Else `null -> 1` of the plan is `added: 1` on its page."""
    found = nearest_change(
        '{"attrs": {"n": 1, "p": null}, "deps": [], "name": "s"}',
        [Earlier(Built("f", "r-1", "ada", "2026", target="s_1"), {"name": "s", "deps": [],
                                                                "attrs": {"n": None}})],
        lambda _: "",
    )  # fmt: skip
    assert found is not None
    facts = json.loads(json.dumps({"kind": "identity_changed", **stable_facts(found)}))
    read = identity_change_in([facts])
    assert read is not None
    assert [c.text for c in read.changes] == ["attrs.n null -> 1", "attrs.p added: null"]


def test_what_failed_says_why_it_was_begun() -> None:
    """Else a failure hides the change that a user made."""
    changed = why.IdentityChanged((why.Change("a", 1, 2, "attrs.n 1 -> 2"),), "s_1", "r", "", "")
    failed = why.FailedBefore(2, 3, "boom", "", "")
    decision = Decision(0, Kind.RUN, failed, changed)
    assert describe_decision(decision) == (
        "failed before (attempt 2): boom; changed since it was built: attrs.n 1 -> 2"
    )
    assert decision.root is changed
    facts = [{"kind": reason_kind(each), **stable_facts(each)} for each in decision.reasons]
    assert describe_reasons(facts) == (
        "failed before (attempt 2): exit code 3; changed since it was built: attrs.n 1 -> 2"
    )
