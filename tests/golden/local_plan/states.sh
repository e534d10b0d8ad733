#!/usr/bin/env bash
# Says for the Makefile and build.ninja of plan p-94d580dc which of its targets are built, and how
# the others are: as text of the shell, on standard output or in the file that is its argument.
# shellcheck disable=SC2154,SC1091,SC2016,SC2026,SC1003,SC1078,SC1079  # set by environment.sh; quotes are meant
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")"/environment.sh

# One batch of reads tells of each target whether it is still to be built: a line of its own each.
answer=$("$marin_build" run-step --plan "$plan" --states)
states=$(sed -nE 's#^(to-build|built) ([A-Za-z0-9._+@/-]+)$#\1:\2#p' <<<"$answer" | tr '\n' ' ')
quote=\'
text="plan='${plan//$quote/$quote\\$quote$quote}'
states=' $states'
"'
# Steps that declare resources or budgets take turns, because ninja cannot count what they take.
build() {
  case $states in
    *" built:$1 "*) echo "skipped  $1" ;;
    *" to-build:$1 "*) MARIN_BUILD_IN_TURN=1 exec bash "$plan/steps/$1/run.sh" ;;
    *) echo "error: marin-build does not say whether $1 is built" >&2; exit 5 ;;
  esac
}
publish() {
  bash -c ". \"\$0\"/environment.sh && \"\$marin_build\" run-step --plan \"\$0\" --target \"\$1\"" "$plan" "$1"
}'
if [ $# = 0 ]; then
  printf '%s\n' "$text"
else
  [ ! -d .marin-build ] || [ -e .marin-build/.gitignore ] || echo '*' >.marin-build/.gitignore
  printf '%s\n' "$text" >"$1.$$"
  mv -- "$1.$$" "$1" # whole: another ninja may read the file
fi
