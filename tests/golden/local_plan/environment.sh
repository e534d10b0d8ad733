# shellcheck shell=bash disable=SC2034,SC2016,SC2026,SC1003,SC1078,SC1079
# Plan p-94d580dc. Every script sources this file: it finds the project and the prefix.
# MARIN_BUILD_PROJECT names the project where it is neither above this folder nor the current one;
# MARIN_BUILD names the program.
pipeline=pipeline.py
plan=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
project=${MARIN_BUILD_PROJECT:-$plan}
[ ! -d "$project" ] || project=$(CDPATH='' cd -- "$project" && pwd)
while [ "$project" != / ] && [ "$project" != . ] && [ ! -f "$project/$pipeline" ]; do
  project=$(dirname -- "$project")
done
[ -f "$project/$pipeline" ] || project=$PWD
export MARIN_BUILD_PROJECT=$project
prefix="$project"/.marin-build/outputs
marin_build=${MARIN_BUILD:-marin-build}
command -v -- "$marin_build" >/dev/null || {
  printf 'error: there is no program `%s` here\n' "$marin_build" >&2
  printf 'hint: activate the environment that has it, or set MARIN_BUILD to its path\n' >&2
  exit 127
}
