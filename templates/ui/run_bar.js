// The bar above the graph: how the run goes, in numbers.

// Which counts the bar shows, and the state whose colour each has.
const BAR_PARTS = [
  ["built", "built"], ["reused", "reused"], ["failed", "failed"], ["stopped", "failed"],
  ["interrupted", "interrupted"], ["blocked", "blocked"], ["begun", "running"], ["waiting", "held"],
];
const TALLY = ["reused", "failed", "stopped", "interrupted", "blocked", "begun", "waiting"];
const TALLY_WORDS = { begun: "running", reused: "built by others", waiting: "left to another run" };

// `seconds`: how long it takes so far.
function tallyText(run, seconds) {
  const of = run.to_build === null ? "" : ` of ${numberText(run.to_build)}`;
  const counts = countsOf(run);
  const words = TALLY.filter((name) => counts[name]).map((name) => `${numberText(counts[name])} ${TALLY_WORDS[name] || name}`);
  const far = run.outcome === "unfinished" ? "its journal goes so far: " : "";
  const time = seconds === null ? "" : far + durationText(seconds);
  return [`${numberText(counts.built || 0)}${of} built`, ...words, time].filter(Boolean).join(" · ");
}

function showBar(run, seconds) {
  const outcome = byId("outcome");
  outcome.className = `outcome of-${run.outcome}`;
  outcome.textContent = run.outcome;
  const words = tallyText(run, seconds);
  byId("tally").textContent = words;
  const bar = byId("progress");
  bar.setAttribute("aria-label", words);
  const counts = countsOf(run);
  const known = Object.values(counts).reduce((a, b) => a + b, 0);
  const total = Math.max(run.to_build || 0, known, 1);
  bar.replaceChildren(...BAR_PARTS.filter(([name]) => counts[name]).map(([name, state]) => {
    const part = html("i", { class: `is-${state}` });
    part.style.width = `${(100 * counts[name]) / total}%`;
    return part;
  }));
  document.title = `${run.is_over ? run.outcome : `${run.counts.built || 0}/${run.to_build === null ? "?" : run.to_build}`} · ${run.id} · marin-build`;
}

// What changes seldom.
function showAboutRun(run) {
  const sign = run.outcome === "unfinished" && run.last_sign ? `; no sign since ${run.last_sign}` : "";
  byId("why").textContent = legible(run.why ? run.why + sign : "");
  byId("why").hidden = !run.why || run.outcome === "running";
  const said = byId("said");
  said.hidden = run.said.length === 0;
  said.querySelector("summary").textContent = `${run.said.length} warning${run.said.length === 1 ? "" : "s"}`;
  said.querySelector("ul").replaceChildren(...run.said.map((text) => html("li", {}, text)));
  const rows = [
    ["began", run.began], ["by", run.by + (run.pid ? `, process ${run.pid}` : "")], ["goes on", run.outcome === "running" ? run.why : ""], ["command", run.command ? html("code", {}, run.command) : ""],
    ["commit", run.commit], ["read", run.is_here ? "as it happens, on this machine" : "from the bucket, to which the run sends its journal about once a minute"],
  ];
  byId("about").querySelector("dl").replaceChildren(...facts(rows).children);
}
