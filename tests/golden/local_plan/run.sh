#!/usr/bin/env bash
# Replays plan p-94d580dc: 7 to build, 0 reused.
# One target after the other, dependencies first; what has been built meanwhile is skipped.
# shellcheck disable=SC2154,SC1091,SC2016,SC2026,SC1003,SC1078,SC1079  # set by environment.sh; quotes are meant
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")"/environment.sh

# One batch of reads tells of each target whether it is still to be built: a line of its own each.
states=$'\n'$("$marin_build" run-step --plan "$plan" --states)$'\n'

run() {
  case $states in
    *$'\n'"to-build $1"$'\n'*) bash "$plan/steps/$1/run.sh" ;;
    *$'\n'"built $1"$'\n'*) printf 'skipped  %s\n' "$1" ;;
    *)
      printf 'error: the answer of %s does not say whether %s is built\n' "$marin_build" "$1" >&2
      printf 'hint: its output must be that of marin-build alone, as it is\n' >&2
      exit 5
      ;;
  esac
}

run words_2529355b
run text/counts_8c4995f8
run summary_4a3336a0
run text/copy_af3e4dbc
run release@2026.11
run closure_a93f3915
run lambda_a22413e3
