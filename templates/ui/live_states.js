// The states of a run, beside those of a plan.

Object.assign(SIGNS, {
  "reused": { outline: "M8 1.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 1 0 0-13z", mark: "M4.8 8.2l2.2 2.2 4.2-4.6", hollow: true },
  "waiting": { outline: "M8 1.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 1 0 0-13z", mark: "", hollow: true },
  "queued": { outline: "M8 1.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 1 0 0-13z", mark: "M8 4.4V8.2l2.6 1.6", hollow: true },
  "running": { outline: "M8 1a7 7 0 1 0 0 14a7 7 0 1 0 0-14z", mark: "M6.4 4.9v6.2l5-3.1z" },
  "stopped": { outline: "M5 1h6l4 4v6l-4 4h-6l-4-4v-6z", mark: "M4.8 8h6.4" },
  "interrupted": { outline: "M8 .6L15.4 8L8 15.4L.6 8z", mark: "M6.5 5.4v5.2M9.5 5.4v5.2" },
  "not started": { outline: "M2 2h12v12h-12z", mark: "", hollow: true },
});

Object.assign(MEANINGS, {
  "reused": "was built before this run",
  "built": "was built by this run",
  "waiting": "is still to be started",
  "queued": "waits in a queue",
  "running": "is being built",
  "failed": "failed in this run",
  "stopped": "must not be built by this run: a lease was lost, or a step changed",
  "interrupted": "was being built when the run was asked to end, or died",
  "not started": "the run ended before it was started",
});
