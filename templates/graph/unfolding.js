// Opening and closing groups.

function makeUnfolding(page) {
  const { model, state } = page;
  const groupOf = new Map();
  const note = (group) => { for (const leaf of group.leaves) groupOf.set(leaf, group); };
  note(model.root);
  eachGroup(model.root, note);

  // Open all groups that a target lies in.
  function openTo(index) {
    let changed = false;
    for (let group = groupOf.get(index); group && group.parent; group = group.parent) {
      if (!state.open.has(group.id)) {
        state.open.add(group.id);
        changed = true;
      }
    }
    return changed;
  }

  function toggleGroup(group, focus) {
    const key = "g" + group.id;
    const isOpen = state.open.has(group.id);
    if (isOpen) {
      state.open.delete(group.id);
      eachGroup(group, (inner) => state.open.delete(inner.id));
    } else {
      state.open.add(group.id);
    }
    if (!page.layOut(key)) {
      state.open.delete(group.id);
      page.say(`more than ${MOST_BOXES} boxes: close some groups first`);
      return;
    }
    if (focus) page.focusBox(key);
  }

  function openAll(wanted) {
    let shownNow = model.root.leaves.length + model.root.groups.length;
    state.open = new Set();
    let left = 0;
    let level = model.root.groups;
    while (level.length) {
      const next = [];
      for (const group of level) {
        if (!wanted(group)) continue;
        const more = group.leaves.length + group.groups.length - 1;
        if (shownNow + more > MOST_BOXES) { left += 1; continue; }
        shownNow += more;
        state.open.add(group.id);
        next.push(...group.groups);
      }
      level = next;
    }
    page.layOut();
    page.fit();
    page.say(left ? `${left} groups stay closed: more than ${MOST_BOXES} boxes cannot be read` : "");
  }

  function openFirst() {
    state.open = firstOpenThatFits(model, page.scaleOf);
  }

  return { openTo, toggleGroup, openAll, openFirst };
}
