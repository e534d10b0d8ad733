// What is lit, and what is dimmed.

// The lit targets: they pass the filters, and belong to the selection or to what was found.
// Null: all targets.
function litTargets(model, state, texts) {
  let lit = passing(model, state);
  const narrow = (found) => {
    lit = lit ? new Set([...lit].filter((index) => found.has(index))) : found;
  };
  if (state.path) narrow(model.critical);
  if (state.target >= 0) {
    const related = reachedFrom([state.target], model.needs);
    for (const index of reachedFrom([state.target], model.needed)) related.add(index);
    narrow(related);
  } else if (state.group) {
    narrow(new Set(state.group.members));
  } else if (state.query) {
    narrow(new Set(findTargets(model, texts, state.query)));
  }
  return lit;
}

function light(model, state, texts, shown) {
  const lit = litTargets(model, state, texts);
  const isSearched = state.query && state.target < 0;
  const matches = isSearched ? new Set(findTargets(model, texts, state.query)) : new Set();
  const litBoxes = new Set();
  for (const box of shown.view.boxes) {
    const { classList } = shown.elements.get(box.key);
    const holds = (found) => box.members.some((member) => found.has(member));
    const isLit = !lit || holds(lit);
    if (isLit) litBoxes.add(box.key);
    const isGroup = box.group !== undefined;
    classList.toggle("dim", !isLit);
    classList.toggle("chosen", isGroup ? state.group === box.group : box.leaf === state.target);
    classList.toggle("holds", isGroup && box.members.includes(state.target));
    classList.toggle("match", holds(matches));
    classList.toggle("critical", state.path && holds(model.critical));
  }
  lightRoutes(model, state, shown, lit, litBoxes);
}

function lightRoutes(model, state, shown, lit, litBoxes) {
  const isChosen = state.target >= 0;
  const boxOf = (index) => shown.view.boxOf.get(index);
  const path = model.data.path || [];
  const critical = new Set(path.slice(1).map((to, i) => `${boxOf(path[i])}\n${boxOf(to)}`));
  const before = isChosen ? reachedFrom([state.target], model.needs) : new Set();
  const after = isChosen ? reachedFrom([state.target], model.needed) : new Set();
  const holds = (key, found) => shown.boxes.get(key).members.some((member) => found.has(member));
  for (const { route, element } of shown.routes) {
    const leads = (found) => route.parts.some((part) => holds(part.from, found) && holds(part.to, found));
    const isBefore = isChosen && leads(before);
    const isAfter = isChosen && leads(after);
    const isLit = !lit || route.parts.some((part) => litBoxes.has(part.from) && litBoxes.has(part.to));
    element.classList.toggle("dim", isChosen ? !isBefore && !isAfter : !isLit);
    element.classList.toggle("before", isBefore);
    element.classList.toggle("after", isAfter);
    const isCritical = state.path && route.parts.some((part) => critical.has(part.key));
    element.classList.toggle("critical", isCritical);
    if (state.path && !isChosen) element.classList.toggle("dim", !isCritical);
  }
}
