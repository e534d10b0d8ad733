"""For each promise of the pages about the protocol there are tests that hold it."""

from __future__ import annotations

import ast
import re
from functools import cache
from typing import TYPE_CHECKING

import pytest

from .pages import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Mapping

E2E, UNIT = "tests/e2e", "tests/unit"
ACQUIRE, HELD = f"{UNIT}/protocol/test_acquire.py", f"{UNIT}/protocol/test_held_target.py"
QUICK = f"{UNIT}/protocol/test_quick_holding.py"
KEEPERS, KILL = f"{E2E}/test_work_and_its_keepers.py", f"{E2E}/test_interrupt_and_kill.py"
CHAOS = "tests/chaos/test_rounds.py"
ANY_KILL = "test_whatever_is_killed_or_frozen_each_target_is_built_once_and_alone"
OUTAGES, FOREIGN = f"{E2E}/test_store_outages.py", f"{E2E}/test_foreign_data.py"
WAITING = "test_waiting_and_working_outlive_refusals_and_ctrl_c_outlives_a_store_that_hangs"
SIM = ("tests/sim/test_simulation.py", "test_every_invariant_holds_in_every_schedule")

Tests = tuple[tuple[str, str], ...]

# What a bullet in bold of "Promised" says -> file and function of the tests that hold it.
PROMISED: Mapping[str, Tests] = {
    "One holder.": (
        SIM,
        (ACQUIRE, "test_two_that_want_one_target_at_the_same_time_do_not_both_get_it"),
        (ACQUIRE, "test_two_that_take_over_one_stale_lease_do_not_both_get_it"),
        ("tests/contract/test_stores.py", "test_of_many_creators_one_wins"),
    ),
    "One commit.": (
        SIM,
        (HELD, "test_a_holder_that_lost_its_lease_cannot_commit"),
        (HELD, "test_the_failure_of_a_holder_that_lost_its_lease_does_not_undo_a_success"),
        (ACQUIRE, "test_who_sleeps_at_any_call_neither_runs_nor_commits_beside_who_took_over"),
        (f"{E2E}/test_chaos.py",
         "test_who_is_frozen_past_the_lease_is_overtaken_and_commits_nothing"),
    ),
    "One commit of a quick step.": (
        (QUICK, "test_many_runs_at_once_build_each_target_once"),
        (QUICK, "test_who_does_not_see_the_lock_wins"),
        (QUICK, "test_killed_at_any_call_it_is_built_by_the_next_run"),
        (f"{E2E}/test_kernel_leases.py", "test_two_builds_at_once_run_each_step_once"),
    ),
    "Sealed is final.": (
        SIM,
        (ACQUIRE, "test_a_seal_is_never_taken_over_even_if_it_was_watched_for_ever"),
        (KILL, "test_a_sealed_attempt_is_published_and_not_run_again"),
    ),
    "Nothing is deleted but what builds left.": (
        ("tests/contract/test_foreign_data.py",
         "test_foreign_data_is_found_left_and_overwritten_only_as_agreed"),
        (FOREIGN, "test_data_that_comes_after_the_plan_is_found_under_the_lease"),
        (FOREIGN, "test_a_step_that_puts_a_link_in_the_place_of_its_output"),
        (FOREIGN, "test_what_a_person_put_in_the_place_of_an_output"),
    ),
    "No reader loses its input to `gc`.": (
        (f"{UNIT}/operations/clean_up/test_gc_interleavings.py",
         "test_no_order_of_requests_takes_the_data_from_a_reader"),
        (f"{E2E}/test_gc.py",
         "test_gc_is_killed_at_every_write_while_a_run_uses_what_it_deletes"),
    ),
    "Outages end no run.": (
        (OUTAGES, WAITING),
        (OUTAGES, "test_a_commit_waits_for_a_login_that_has_ended"),
        (f"{UNIT}/run_step/test_lease_keeper.py",
         "test_an_outage_ends_no_work_but_that_of_which_another_run_has_the_lease"),
    ),
    "Finished work is kept.": (
        (OUTAGES, "test_what_the_store_does_not_take_is_committed_later"),
        (OUTAGES, "test_a_job_says_that_the_infrastructure_failed_and_the_next_one_commits"),
    ),
    "Ctrl-C gives up requests that hang": ((OUTAGES, WAITING),),
    "No SUCCESS without its record": (
        SIM,
        (HELD, "test_the_order_of_the_writes_is_the_promise"),
        (HELD, "test_a_builder_may_die_at_any_call_and_the_next_one_goes_on"),
        (f"{E2E}/test_power_cut.py", "test_what_was_not_surely_on_disk_is_built_again"),
    ),
    "No waiting for dead processes": (
        (ACQUIRE, "test_a_dead_holder_on_this_host_is_replaced_at_once"),
        (f"{E2E}/test_chaos.py", "test_killed_at_any_instant_the_next_apply_goes_on_at_once"),
        (f"{E2E}/test_remote_stores.py", "test_after_a_kill_on_this_machine_nobody_waits"),
    ),
    "One execution at a time": (
        (CHAOS, ANY_KILL),
        (KEEPERS, "test_work_that_nothing_keeps_is_waited_for"),
        (KEEPERS, "test_work_whose_lease_stood_still_is_waited_for"),
        (f"{UNIT}/run_step/test_thread_bodies.py", "test_a_thread_holds_its_log_while_it_runs"),
    ),
    "Work ends with its keepers.": (
        (CHAOS, ANY_KILL),
        (KEEPERS, "test_whichever_process_is_killed_the_work_ends"),
        (KEEPERS, "test_whichever_process_is_left_ends_the_work"),
        (KEEPERS, "test_work_that_nothing_keeps_is_waited_for"),
    ),
    "Marin's locks are respected": (
        (f"{UNIT}/protocol/test_marin_files.py",
         "test_marins_lock_is_taken_for_held_until_it_stood_still_long_enough"),
        (f"{UNIT}/protocol/test_marin_files.py", "test_marins_statuses_are_read"),
        (f"{UNIT}/protocol/test_marin_files.py", "test_what_marin_built_is_not_run"),
        (f"{UNIT}/protocol/test_marin_files.py", "test_marins_artifacts_are_loaded"),
    ),
}  # fmt: skip

# How a row of "What survives" begins -> the same.
SURVIVES: Mapping[str, Tests] = {
    "the process of a step": (
        (CHAOS, ANY_KILL),
        (f"{E2E}/test_failing_steps.py", "test_however_a_step_ends_badly_it_is_recorded"),
        (f"{E2E}/test_isolation.py", "test_what_leaves_its_group_is_killed_with_its_step"),
    ),
    "`apply`, by `kill -9`": (
        (KILL, "test_after_sigkill_the_work_dies_and_the_next_apply_goes_on"),
        (KILL, "test_a_kill_at_any_moment_loses_nothing"),
    ),
    "the process group of `apply`": (
        (KEEPERS, "test_a_signal_to_the_group_leaves_no_writer"),
        (KEEPERS, "test_a_signal_to_the_group_of_a_script_leaves_no_writer"),
    ),
    "the process that forks the steps": (
        (KEEPERS, "test_whichever_process_is_killed_the_work_ends"),
    ),
    "all processes of `apply`": ((KEEPERS, "test_work_that_nothing_keeps_is_waited_for"),),
    "nothing": (
        (CHAOS, ANY_KILL),
        (f"{E2E}/test_chaos.py", "test_a_frozen_step_whose_keeper_lives_is_waited_for"),
        (f"{E2E}/test_chaos.py",
         "test_who_is_frozen_past_the_lease_is_overtaken_and_commits_nothing"),
    ),
    "the process of one rank of a gang": (
        (f"{E2E}/test_slurm_gangs.py", "test_a_rank_that_fails_is_named_with_its_last_words"),
        (f"{E2E}/test_slurm_gangs.py",
         "test_a_gang_whose_rank_died_without_a_word_is_built_by_the_next_job"),
    ),
    "the leader of a gang": (
        SIM,
        (f"{UNIT}/run_step/test_ranks.py", "test_a_rank_whose_leader_vanished_ends"),
        (f"{UNIT}/run_step/test_ranks.py", "test_a_gang_takes_over_from_a_launch_that_died"),
    ),
    "the store, for a while, when a step has ended": (
        (f"{UNIT}/run_step/test_supervisor.py", "test_a_result_waits_for_a_store_that_is_away"),
        (OUTAGES, "test_a_commit_waits_for_a_login_that_has_ended"),
    ),
    "the same, for longer": (
        (f"{UNIT}/run_step/test_supervisor.py",
         "test_what_a_store_does_not_take_is_committed_later"),
        (OUTAGES, "test_what_the_store_does_not_take_is_committed_later"),
    ),
    "the store, for a while, when a step is to begin": ((OUTAGES, WAITING),),
    "the store, for longer than a lease holds": (
        (f"{UNIT}/run_step/test_lease_keeper.py",
         "test_an_outage_ends_no_work_but_that_of_which_another_run_has_the_lease"),
        (f"{UNIT}/run_step/test_lease_keeper.py", "test_work_is_not_held_still_for_ever"),
    ),
    "anything, in the first second of a step on a local disk": (
        (QUICK, "test_killed_at_any_call_it_is_built_by_the_next_run"),
        (f"{E2E}/test_kernel_leases.py", "test_after_a_kill_the_next_run_goes_on"),
    ),
    "anything, between the attempt file and the seal": (
        (f"{UNIT}/run_step/test_supervisor.py",
         "test_what_a_store_does_not_take_is_committed_later"),
    ),
    "the lease keeper": ((KEEPERS, "test_whichever_process_is_killed_the_work_ends"),),
    "anything, between seal and `SUCCESS`": (
        (KILL, "test_a_sealed_attempt_is_published_and_not_run_again"),
    ),
    "the machine, by a power cut": (
        (f"{E2E}/test_power_cut.py", "test_what_was_not_surely_on_disk_is_built_again"),
    ),
    "you press Ctrl-C": (
        (KILL, "test_an_interrupt_ends_what_runs_and_frees_it"),
        (KILL, "test_a_closed_terminal_ends_a_run_in_good_order"),
        (KILL, "test_a_second_ctrl_c_kills_a_step_that_does_not_listen"),
    ),
}  # fmt: skip


def section(page: str, heading: str) -> str:
    text = (CHECKOUT / page).read_text(encoding="utf-8")
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def promised() -> list[str]:
    """Return the bullets of "Promised": what they say in bold, and what follows."""
    return re.findall(
        r"^- \*\*(.+)", section("docs/reference/storage.md", "Promised"), re.MULTILINE
    )


def survivals() -> list[str]:
    """Return the rows of "What survives"."""
    rows = re.findall(
        r"^\| (.+)", section("docs/concepts/protocol.md", "What survives"), re.MULTILINE
    )
    return rows[1:]  # without the heads


@cache
def functions_of(file: str) -> frozenset[str]:
    tree = ast.parse((CHECKOUT / file).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize(
    ("said", "known"), [(promised, PROMISED), (survivals, SURVIVES)], ids=["promised", "survives"]
)
def test_each_promise_is_held_by_tests(said: object, known: Mapping[str, Tests]) -> None:
    """Else a page promises what nobody tries, as it did for work that outlived its lease."""
    assert callable(said)
    found = said()
    assert [begin for begin in known if not any(text.startswith(begin) for text in found)] == []
    assert [text for text in found if not any(map(text.startswith, known))] == []
    for tests in known.values():
        assert [test for test in tests if test[1] not in functions_of(test[0])] == []


def test_security_is_linked_from_where_people_begin() -> None:
    """Else who finds a hole does not find how to report it."""
    for page in ("README.md", "docs/index.md"):
        assert re.search(r"\]\((\.\./)?SECURITY\.md\)", (CHECKOUT / page).read_text("utf-8"))
