#!/usr/bin/env bash
# Submits plan p-6025bb78: jobs that need others are submitted when these are done, so this has
# to stay running until the last ones are submitted. It can be ended and started again at any time.
# shellcheck disable=SC2154,SC1091,SC2016,SC2026,SC1003,SC1078,SC1079  # set by environment.sh; quotes are meant
set -euo pipefail
steps=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)/steps
kubectl=(kubectl)
apply=("${kubectl[@]}" apply --server-side --field-manager=marin-build)

# wait_for KIND NAME TARGET: waits until a job has ended; fails if the job has.
wait_for() {
  local kind=$1 name=$2 target=$3 ends
  while true; do
    ends=$("${kubectl[@]}" get "$kind" "$name" --namespace research \
      -o 'jsonpath={.status.conditions[?(@.status=="True")].type}') || return 1
    case " $ends " in
      *' Complete '* | *' Completed '*)
        printf 'built     %s\n' "$target"
        return 0
        ;;
      *' Failed '*)
        printf 'failed    %s: %s/%s; to try again, delete that and start this script again\n' "$target" "$kind" "$name" >&2
        return 1
        ;;
    esac
    sleep "${MARIN_BUILD_POLL:-10}"
  done
}

# The cluster is asked about all of them before anything is submitted.
"${apply[@]}" --dry-run=server --recursive -f "$steps" > /dev/null
failed=0

"${apply[@]}" -f "$steps"/corpus/clean_cadb2f7b/job.yaml
wait_for job mb-corpus-clean-cadb2f7b-655ffb corpus/clean_cadb2f7b || failed=1
[ "$failed" = 0 ] || exit 1

"${apply[@]}" -f "$steps"/corpus/count_f9aba9f0/job.yaml
"${apply[@]}" -f "$steps"/tpu/one_d9111d52/job.yaml
"${apply[@]}" -f "$steps"/tpu/two_ffd903cf/job.yaml
"${apply[@]}" -f "$steps"/fan-out_19fa1918/job.yaml
wait_for job mb-corpus-count-f9aba9f0-655ffb corpus/count_f9aba9f0 || failed=1
wait_for jobset mb-tpu-one-d9111d52-655ffb tpu/one_d9111d52 || failed=1
wait_for jobset mb-tpu-two-ffd903cf-655ffb tpu/two_ffd903cf || failed=1
wait_for jobset mb-fan-out-19fa1918-655ffb fan-out_19fa1918 || failed=1
[ "$failed" = 0 ] || exit 1

"${apply[@]}" -f "$steps"/Train/GPU_small@2026.11.21/job.yaml
