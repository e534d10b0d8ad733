"""Apply: replay a plan on this machine.

Knows plans, schedules and the seam to workers; no command line, and not how a target is built.

applier         one replay of one plan: its first events, its loop and its totals
build_loop      the loop between the schedule and the workers
plan_requests   what the replay of a plan asks of workers, target by target
devices         what targets take of this machine, and which devices each gets
waiting         failed targets that are tried again, and targets that other runs build
events          what apply reports, as values
totals          the totals of a run
eta             how long a run will still take
timeline        which target ran in which slot, and what each start waited for
journal         the events of a run as JSON lines, and back
journal_writer  keeps the journal of a run in the store
run_folder      what a run leaves under the prefix: its plan, and who ran it when
trace           a trace for Perfetto or Chrome, made from a journal
"""
