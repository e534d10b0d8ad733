// Keeps the selection and the filters in the fragment of the page's address, and restores them.

function makeAddress(page) {
  const { model, state } = page;
  const { data } = model;

  function remember() {
    const text = toFragment({
      target: state.target >= 0 ? model.nodes[state.target].id : "",
      group: state.group ? state.group.id : "",
      query: state.query, states: [...state.states].map((i) => data.states[i].replace(" ", "-")), drifted: state.drifted,
      tag: state.tag, on: state.on, only: state.only, path: state.path, few: state.few === Boolean(data.few) ? null : state.few,
    });
    if (text === location.hash) return;
    try {
      history.replaceState(null, "", text || location.pathname + location.search);
    } catch {
      // Some previews show a page without an address: then its state is not kept.
    }
  }

  function restore() {
    const wanted = fromFragment(location.hash);
    state.query = wanted.query;
    byId("search").value = wanted.query;
    state.states = new Set(wanted.states.map((word) => data.states.indexOf(word.replace("-", " "))).filter((i) => i >= 0));
    state.drifted = wanted.drifted && model.nodes.some((node) => node.drift);
    for (const chip of byId("legend").children) {
      const isPressed = chip.dataset.drifted ? state.drifted : state.states.has(data.states.indexOf(chip.dataset.state));
      chip.setAttribute("aria-pressed", String(isPressed));
    }
    for (const key of ["tag", "on"]) {
      state[key] = wanted[key];
      byId(key).value = wanted[key];
      if (byId(key).value !== wanted[key]) {
        state[key] = "";
        byId(key).value = "";
      }
    }
    state.few = wanted.few === null ? Boolean(data.few) : wanted.few;
    byId("few").setAttribute("aria-pressed", String(state.few));
    for (const key of ["only", "path"]) {
      state[key] = wanted[key] && !byId(key).disabled;
      byId(key).setAttribute("aria-pressed", String(state[key]));
    }
    const index = model.places.has(wanted.target) ? model.places.get(wanted.target) : -1;
    state.target = index;
    state.group = index < 0 && page.groups.has(wanted.group) ? page.groups.get(wanted.group) : null;
    if (index >= 0) page.openTo(index);
    return index;
  }

  return { remember, restore };
}
