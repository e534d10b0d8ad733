// The list of runs: drawn anew when something is new, row by row, so that the focus stays.

const ORDER_OF_COUNTS = ["built", "reused", "failed", "blocked", "stopped", "interrupted", "waiting", "begun"];
const WORDS_OF_COUNTS = { waiting: "left to another run" };

function countsText(run) {
  const counts = countsOf(run);
  return ORDER_OF_COUNTS.filter((name) => counts[name])
    .map((name) => `${counts[name].toLocaleString("en-US")} ${wordOf(name, run)}`).join(", ");
}

function wordOf(name, run) {
  if (name === "begun") return run.outcome === "running" ? "running" : "begun";
  return WORDS_OF_COUNTS[name] || name;
}

// `more`: seconds since the server said how long it took so far.
function tookText(run, more) {
  if (run.seconds === null) return "";
  const goesOn = run.outcome === "running";
  return durationText(run.seconds + (goesOn ? more : 0)) + (goesOn || run.is_over ? "" : "+");
}

function runRow(run) {
  const outcome = html("td", {}, outcomeBadge(run.outcome));
  if (run.why) outcome.title = legible(run.why);
  return html("tr", { "data-run": run.id },
    html("th", { scope: "row" }, html("a", { href: `runs/${encodeURIComponent(run.id)}/` }, run.id)),
    outcome,
    html("td", { class: "moment" }, run.began.replace(" UTC", "")),
    html("td", { class: "number" }, tookText(run, 0)),
    html("td", {}, countsText(run)),
    html("td", {}, run.by),
    html("td", {}, html("code", {}, run.command)));
}

function startRuns() {
  const body = byId("runs").querySelector("tbody");
  const shown = new Map(); // run -> [what its row was made from, the row]
  let going = []; // those that run
  let heardAt = 0;

  function receive(message) {
    if (!message.runs) return;
    going = message.runs.filter((run) => run.outcome === "running");
    heardAt = performance.now();
    const rows = message.runs.map((run) => {
      const text = JSON.stringify(run);
      const known = shown.get(run.id);
      if (known && known[0] === text) return known[1];
      const row = runRow(run);
      if (known && known[1].contains(document.activeElement)) {
        known[1].replaceWith(row);
        row.querySelector("a").focus();
      }
      shown.set(run.id, [text, row]);
      return row;
    });
    rows.forEach((row, i) => { if (body.children[i] !== row) body.insertBefore(row, body.children[i] || null); });
    while (body.children.length > rows.length) body.lastElementChild.remove();
    byId("runs").setAttribute("aria-busy", "false");
    byId("runs").hidden = rows.length === 0;
    const older = message.more ? `${message.more.toLocaleString("en-US")} older runs are not listed: marin-build runs --limit shows them` : "";
    byId("note").textContent = rows.length ? older : "no run is kept here yet: a run appears as soon as it builds something";
    document.body.dataset.ready = "yes";
  }

  setInterval(() => {
    if (document.hidden) return;
    const more = (performance.now() - heardAt) / 1000;
    for (const run of going) shown.get(run.id)[1].querySelector(".number").textContent = tookText(run, more);
  }, 1000);

  byId("theme").addEventListener("click", () => toggleTheme(byId("theme")));
  follow("events", receive);
}

setTheme();
startRuns();
