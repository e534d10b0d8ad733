// The panel with all facts about one target or one group.

function section(title, ...children) {
  return html("section", {}, html("h3", {}, title), ...children);
}

function facts(rows) {
  const list = html("dl", {});
  for (const [label, value] of rows) {
    if (value === undefined || value === null || value === "") continue;
    list.append(html("dt", {}, label), html("dd", {}, value));
  }
  return list;
}

function code(text) {
  return html("code", {}, text);
}

const ONE_LINE = 60;

function valueText(value) {
  if (value === undefined) return "absent";
  if (typeof value === "string") return value;
  const text = JSON.stringify(value);
  return text.length <= ONE_LINE ? text : JSON.stringify(value, null, 1);
}

// Only addresses that a browser opens without running anything.
function safeLink(address, text) {
  if (!/^(https:\/\/|file:\/\/|\.{0,2}\/|[A-Za-z0-9_.-]+\/)/.test(address || "")) return code(text);
  return html("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, text);
}

function commandLine(label, text) {
  const button = html("button", { type: "button", class: "copy", "aria-label": `copy the command: ${label}` }, "copy");
  button.addEventListener("click", () => copyText(text, button));
  return html("div", { class: "command" }, html("span", { class: "what" }, label), html("pre", { tabindex: "0" }, text), button);
}

async function copyText(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = html("textarea", {});
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  button.textContent = "copied";
  setTimeout(() => { button.textContent = "copy"; }, 1500);
}

function badge(model, state) {
  const picture = svg("svg", { viewBox: "0 0 16 16", width: "16", height: "16", "aria-hidden": "true" }, sign(state));
  return html("span", { class: `badge ${stateClass(state)}` }, picture, state);
}

function targetPanel(model, index, select, related) {
  const node = model.nodes[index];
  const { data } = model;
  const parts = [
    html("h2", { tabindex: "-1" }, node.name),
    html("p", { class: "line" }, badge(model, data.states[node.state]), model.critical.has(index) ? html("span", { class: "badge critical" }, "on the critical path") : ""),
    html("p", { class: "why" }, (model.live ? "in the plan: " : "") + node.why),
  ];
  if (node.drift) parts.push(html("p", { class: "drift" }, `drift: ${node.drift}`));
  if (node.about) parts.push(html("p", { class: "about" }, node.about));
  if (node.log) parts.push(section(node.log_of || "log", html("pre", { class: "log", tabindex: "0" }, node.log.join("\n"))));
  const changes = changesOf(model, index);
  if (changes.length) parts.push(changesSection(sinceOf(node), changes));
  if (model.live) parts.splice(2, 0, ...model.live.panel(index));
  parts.push(section("facts", facts(factRows(model, node))));
  const values = { ...(node.attrs || {}) };
  if (Object.keys(values).length) {
    const rows = Object.keys(values).sort().map((key) => [key, html("pre", { tabindex: "0" }, valueText(values[key]))]);
    parts.push(section("attributes", facts(rows)));
  }
  if (node.inputs) parts.push(section("inputs", facts(Object.entries(node.inputs).map(([key, digest]) => [key, code(digest)]))));
  const word = node.word || node.id;
  parts.push(section("commands", ...data.commands.map(([label, text]) => commandLine(label, text.join(word)))));
  parts.push(...[["needs", model.needs[index]], ["needed by", model.needed[index]]].map(([title, list]) => targetList(model, title, list, select)));
  parts.push(html("p", { class: "small" }, `In all it needs ${related.before} targets, and ${related.after} need it.`));
  return parts;
}

function factRows(model, node) {
  const { data } = model;
  const output = outputOf(data, node);
  const script = scriptOf(node);
  const amount = [];
  if (node.seconds !== undefined) amount.push(`about ${durationText(node.seconds)}`);
  if (node.builds) amount.push(`median of ${node.builds} build${node.builds > 1 ? "s" : ""}`);
  if (node.cost !== undefined) amount.push(`$${node.cost < 10 ? node.cost.toFixed(2) : Math.round(node.cost).toLocaleString("en-US")}`);
  return [
    ["target", code(node.id)],
    ["fingerprint", node.fingerprint ? code(node.fingerprint) : ""],
    ["estimate", amount.join(", ")],
    ["took", node.took !== undefined ? durationText(node.took) : ""],
    ["runs on", placeOf(model, node)],
    ["tags", (node.tags || []).join(", ")],
    ["declared", node.declared ? code(node.declared) : ""],
    ["output", output ? safeLink(linkOf(data, node), output) : ""],
    ["script", script ? safeLink(script, script) : ""],
  ];
}

function changesSection(since, changes) {
  const rows = changes.map((change) => {
    const cells = html("dd", {});
    cells.append(
      html("del", { "aria-label": "before" }, valueText(change.old)),
      html("ins", { "aria-label": "now" }, valueText(change.new)),
    );
    if (change.because) cells.append(html("span", { class: "because" }, change.because));
    return [html("dt", {}, change.path), cells];
  });
  return section(`differences to ${since}`, html("dl", { class: "changes" }, ...rows.flat()));
}

const MOST_LISTED = 30;

function targetList(model, title, list, select) {
  if (list.length === 0) return "";
  const items = html("ul", { class: "targets" });
  for (const index of list.slice(0, MOST_LISTED)) {
    const node = model.nodes[index];
    const button = html("button", { type: "button" }, badge(model, model.data.states[node.state]), html("span", {}, node.name));
    button.addEventListener("click", () => select(index));
    items.append(html("li", {}, button));
  }
  const more = list.length > MOST_LISTED ? html("p", { class: "small" }, `and ${list.length - MOST_LISTED} more`) : "";
  return section(`${title} (${list.length})`, items, more);
}

function groupPanel(model, group, members, select) {
  const { states } = model.data;
  const counts = countStates(members, model.nodes, states.length);
  const rows = html("ul", { class: "counts" });
  counts.forEach((count, i) => {
    if (count) rows.append(html("li", {}, badge(model, states[i]), ` ${count}`));
  });
  const drifted = countDrifted(members, model.nodes);
  if (drifted) rows.append(html("li", { class: "drift" }, `drifted ${drifted}`));
  const seconds = members.map((member) => model.nodes[member].seconds).filter((value) => value !== undefined);
  const first = [...members].sort((a, b) => (model.nodes[a].state === DONE) - (model.nodes[b].state === DONE) || a - b);
  return [
    html("h2", { tabindex: "-1" }, group.id.split("*")[0] + (group.id.includes("*") ? group.label : "")),
    html("p", {}, `${members.length} targets`),
    rows,
    seconds.length ? html("p", { class: "small" }, `about ${durationText(seconds.reduce((a, b) => a + b, 0))} of work is to be done, one after the other`) : "",
    targetList(model, "targets", first, select),
  ];
}
