#!/usr/bin/env bash
# step      text/counts (pipeline.py:39)
# target    text/counts_8c4995f8
# why       never built
# needs     words_2529355b
# output    .marin-build/outputs/text/counts_8c4995f8
# shellcheck disable=SC2154,SC1091,SC2016,SC2026,SC1003,SC1078,SC1079  # set by environment.sh; quotes are meant
set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")"/../../../environment.sh

exec "$marin_build" run-step --plan "$plan" --target text/counts_8c4995f8 -- \
  env words="$prefix"/words_2529355b output="$prefix"/text/counts_8c4995f8 bash -euo pipefail -c 'sort "${words}"/words.txt | uniq -c | sort -k1,1nr -k2 > "${output}"/counts.txt'
