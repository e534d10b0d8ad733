// The chips, choices and buttons.

const MEANINGS = {
  "built": "is reused",
  "to build": "was never built",
  "stale": "was built, but something changed: it is built again",
  "failed": "failed when it was last tried",
  "held": "is being built by another run",
  "blocked": "needs what cannot be built",
  "later": "stands for steps that are known once what it waits for is built",
};

function makeChips(page) {
  const { model, state, afterFilter } = page;
  const { data } = model;
  data.states.forEach((word, i) => {
    const chip = html("button", { type: "button", class: `chip ${stateClass(word)}`, "aria-pressed": "false", "data-state": word });
    chip.append(svg("svg", { viewBox: "0 0 16 16", width: "16", height: "16", "aria-hidden": "true" }, sign(word)));
    chip.append(html("span", {}, word), html("b", {}));
    chip.title = MEANINGS[word];
    chip.addEventListener("click", () => {
      if (state.states.has(i)) state.states.delete(i);
      else state.states.add(i);
      chip.setAttribute("aria-pressed", String(state.states.has(i)));
      afterFilter();
    });
    byId("legend").append(chip);
  });
  countChips(page);
  const drifted = countDrifted(model.nodes.map((_, i) => i), model.nodes);
  if (drifted) byId("legend").append(driftChip(page, drifted));
}

// Write on each chip how many targets are in its state now.
function countChips({ model, state }) {
  const counts = countStates(model.nodes.map((_, i) => i), model.nodes, model.data.states.length);
  model.data.states.forEach((word, i) => {
    const chip = byId("legend").querySelector(`[data-state="${word}"]`);
    chip.querySelector("b").textContent = numberText(counts[i]);
    chip.disabled = counts[i] === 0 && !state.states.has(i);
  });
}

// Drift is no state: what drifted is built.
function driftChip({ state, afterFilter }, count) {
  const chip = html("button", { type: "button", class: "chip drift-chip", "aria-pressed": "false", "data-drifted": "yes" });
  chip.append(html("span", {}, "drifted"), html("b", {}, numberText(count)));
  chip.title = "was built by other code, in another environment, or with another identity";
  chip.addEventListener("click", () => {
    state.drifted = !state.drifted;
    chip.setAttribute("aria-pressed", String(state.drifted));
    afterFilter();
  });
  return chip;
}

function makeChoice(page, id, values, key) {
  const { state, afterFilter } = page;
  const choice = byId(id);
  if (values.length === 0) {
    choice.parentElement.hidden = true;
    return;
  }
  for (const [value, count] of values) choice.append(html("option", { value }, `${value} (${count})`));
  choice.addEventListener("change", () => {
    state[key] = choice.value;
    afterFilter();
  });
}

function makeButtons(page) {
  const { model, state, viewport, layOut, fit, openAll, openTo, clearSelection, afterFilter } = page;
  const { data } = model;
  const press = (id, action) => byId(id).addEventListener("click", action);
  press("fit", () => fit());
  press("closer", () => viewport.zoom(1.3));
  press("farther", () => viewport.zoom(1 / 1.3));
  press("open-all", () => openAll(() => true));
  press("close-all", () => openAll(() => false));
  press("open-first", () => {
    page.openFirst();
    layOut();
    page.begin();
  });
  press("close-panel", clearSelection);
  press("theme", () => toggleTheme(byId("theme")));
  press("keys", () => byId("help").showModal());
  const toggle = (id, key) => {
    press(id, () => {
      state[key] = !state[key];
      byId(id).setAttribute("aria-pressed", String(state[key]));
      if (key === "path" && state.path) {
        const before = new Set(state.open);
        for (const index of model.critical) openTo(index);
        if (!layOut()) state.open = before;
        fit();
      }
      if (key === "few") layOut();
      if (key === "only") {
        layOut();
        fit();
      }
      afterFilter();
    });
  };
  toggle("only", "only");
  toggle("path", "path");
  toggle("few", "few");
  byId("path").disabled = model.critical.size === 0;
  if (data.path_text) byId("path").title = data.path_text;
}
