// The states that a run gives its targets, on the graph of its plan.

const RELOAD_AFTER = 2000; // milliseconds: a plan may grow several times in a row

function goLive(page) {
  const { model } = page;
  const { data } = model;
  const numbers = new Map(data.states.map((word, i) => [word, i]));
  const planned = model.nodes.map((node) => node.state);
  const told = new Map(); // target -> what the run says of it
  let run = null;
  let heardAt = 0;
  let isLeaving = false;

  const secondsNow = () => {
    const goesOn = run.outcome === "running" && run.seconds !== null;
    return goesOn ? run.seconds + (performance.now() - heardAt) / 1000 : run.seconds;
  };

  function noteOf(word, facts) {
    if (word === "running" || word === "queued" || word === "held") {
      const since = facts.since !== undefined && run.outcome === "running" ? ` · ${durationText(Math.max(0, secondsNow() - facts.since))}` : "";
      return word + since;
    }
    if (facts.again) return "waiting · again";
    const words = [word];
    if (facts.seconds !== undefined) words.push(durationText(facts.seconds));
    return words.join(" · ");
  }

  // Give a target the state that it has now; return whether anything of it changed.
  function settle(index) {
    const node = model.nodes[index];
    const facts = told.get(node.id) || {};
    let word = facts.state || data.states[planned[index]];
    if (word === "waiting" && !facts.state && run.is_over) word = "not started";
    const before = `${node.state} ${node.note}`;
    node.state = numbers.get(word);
    node.note = noteOf(word, facts);
    return before !== `${node.state} ${node.note}`;
  }

  function receive(message) {
    if (!message.run) return;
    const wasOver = run && run.is_over;
    run = message.run;
    heardAt = performance.now();
    if (run.expansions > data.expansions) leaveForGrownPlan();
    const touched = new Set();
    if (message.is_all) {
      told.clear();
      model.nodes.forEach((_, index) => touched.add(index));
    }
    for (const [id, facts] of Object.entries(message.targets)) {
      told.set(id, facts);
      if (model.places.has(id)) touched.add(model.places.get(id));
    }
    if (wasOver !== run.is_over) model.nodes.forEach((_, index) => touched.add(index));
    const changed = [...touched].filter(settle);
    showBar(run, secondsNow());
    showAboutRun(run);
    redraw(changed);
    if (touched.size) renewPanel();
    document.body.dataset.live = run.is_over ? "over" : "yes";
  }

  function redraw(changed) {
    if (changed.length === 0 || !page.shown()) return;
    countChips(page);
    page.redraw(changed);
    if (page.state.states.size) page.afterFilter();
  }

  // Write the panel anew, but not while text in it is being selected, and leave it where it is.
  function renewPanel() {
    const panel = byId("panel");
    const selection = document.getSelection();
    if (panel.hidden || (!selection.isCollapsed && panel.contains(selection.anchorNode))) return;
    if (panel.contains(document.activeElement) && document.activeElement.tagName !== "H2") return;
    const { scrollTop } = panel;
    page.showPanel();
    panel.scrollTop = scrollTop;
  }

  // The plan has more targets now: the page is loaded again, with what is selected, found and open.
  function leaveForGrownPlan() {
    if (isLeaving) return;
    isLeaving = true;
    setTimeout(() => {
      history.replaceState({ open: [...page.state.open] }, "", location.href);
      location.reload();
    }, RELOAD_AFTER);
  }

  const openFirst = page.openFirst;
  page.openFirst = () => {
    openFirst();
    const kept = history.state && history.state.open;
    if (kept) for (const id of kept) if (page.groups.has(id)) page.state.open.add(id);
  };

  setInterval(() => {
    if (!run || run.is_over || document.hidden) return;
    showBar(run, secondsNow());
    const going = [];
    for (const [id, facts] of told) if (facts.since !== undefined && model.places.has(id)) going.push(model.places.get(id));
    const changed = going.filter(settle);
    if (changed.length) page.redraw(changed);
  }, 1000);

  model.live = {
    widest: "running · 99 min",
    panel: (index) => {
      const node = model.nodes[index];
      return livePanel(node, told.get(node.id) || {}, data.states[node.state]);
    },
  };
  follow("events", receive);
}

// What the panel of a target shows of the run, and where it leads.
function livePanel(node, said, word) {
  const rows = [
    ["attempt", said.attempt > 1 ? String(said.attempt) : ""],
    ["exit code", said.code ? String(said.code) : ""],
    ["took", said.seconds !== undefined ? durationText(said.seconds) : ""],
    ["job", [said.job, said.place ? `on ${said.place}` : ""].filter(Boolean).join(" ")],
  ];
  const parts = [];
  if (said.message) parts.push(html("pre", { class: "log", tabindex: "0" }, said.message));
  const links = [];
  if (said.state && word !== "blocked" && word !== "reused") links.push(html("a", { href: logAddress(node.id, said) }, "log"));
  if ((word === "built" || word === "reused") && !node.output) links.push(html("a", { href: outputAddress(node) }, "output"));
  if (links.length) parts.push(html("p", { class: "links" }, ...links));
  return parts.length || rows.some(([, value]) => value) ? [section("in this run", facts(rows), ...parts)] : [];
}

function logAddress(target, said) {
  const words = new URLSearchParams({ target });
  if (said.attempt) words.set("attempt", said.attempt);
  return `log/?${words}`;
}

// Of an output that lies where outputs lie: `PREFIX/ID`.
function outputAddress(node) {
  return `../../outputs/one/?${new URLSearchParams({ target: node.id, path: node.id })}`;
}
