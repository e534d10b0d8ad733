// What is selected, and its panel.

function makeSelecting(page) {
  const { model, state, viewport } = page;

  function select(index, options) {
    const before = new Set(state.open);
    state.target = index;
    state.group = null;
    const needsLayout = index >= 0 && !page.shown().view.boxOf.has(index) ? (page.openTo(index), true) : index >= 0 && page.openTo(index);
    if (needsLayout || state.only) {
      if (!page.layOut()) {
        state.open = before;
        page.say("too many boxes: close some groups first");
      }
    }
    page.show();
    showPanel();
    const key = page.keyOfTarget(index);
    if (key) {
      page.setFocused(key);
      page.rove();
      viewport.reveal(page.shown().placed.at.get(key));
      if (options && options.focus) page.focusBox(key);
    }
  }

  function selectGroup(group) {
    state.target = -1;
    state.group = group;
    if (state.only) page.layOut();
    page.show();
    showPanel();
  }

  function showPanel() {
    const panel = byId("panel");
    const hadFocus = panel.contains(document.activeElement);
    const isOpen = state.target >= 0 || state.group !== null;
    const wasFitted = viewport.isFitted();
    const changes = panel.hidden === isOpen;
    document.body.classList.toggle("with-panel", isOpen);
    panel.hidden = !isOpen;
    if (changes && wasFitted) page.begin();
    if (!isOpen) return;
    const content = state.target >= 0
      ? targetPanel(model, state.target, (index) => select(index), {
        before: reachedFrom([state.target], model.needs).size - 1,
        after: reachedFrom([state.target], model.needed).size - 1,
      })
      : groupPanel(model, state.group, state.group.members, (index) => select(index));
    byId("facts").replaceChildren(...content);
    panel.scrollTop = 0;
    if (hadFocus) byId("facts").querySelector("h2").focus();
  }

  function clearSelection() {
    const wasIn = state.target;
    state.target = -1;
    state.group = null;
    if (state.only) page.layOut();
    page.show();
    showPanel();
    const key = page.keyOfTarget(wasIn);
    if (key) page.focusBox(key);
  }

  return { select, selectGroup, clearSelection, showPanel };
}
