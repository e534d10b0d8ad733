// Which groups are open at first. Pure.

const FIRST_BOXES = 60;
const MOST_TRIES = 8;

// The groups that are open at first: those that hold something to do, as far as a screen allows.
// Groups in which all is built stay closed, but a small graph that is built is opened.
// With `--collapse`: the groups above that depth.
function firstOpen(model) {
  const open = new Set();
  const { depth } = model.data;
  if (depth) {
    eachGroup(model.root, (group) => {
      if (!group.id.includes("*") && group.id.split("/").length - 1 < depth) open.add(group.id);
    });
    return open;
  }
  const todo = model.nodes.some((node) => node.state !== DONE);
  let shown = model.root.leaves.length + model.root.groups.length;
  const tryOpen = (group) => {
    const more = group.leaves.length + group.groups.length - 1;
    if (shown + more > FIRST_BOXES) return false;
    open.add(group.id);
    shown += more;
    return true;
  };
  const frontier = new Set(todo ? frontierOf(model) : []);
  const isHot = (group) => group.members.some((member) => frontier.has(member));
  const isWarm = (group) => group.members.some((member) => model.nodes[member].state !== DONE);
  const passes = todo ? [isHot, isWarm] : [() => model.nodes.length <= 40];
  for (const wanted of passes) {
    let level = model.root.groups;
    while (level.length) {
      const next = [];
      for (const group of level) {
        if (open.has(group.id) || (wanted(group) && tryOpen(group))) next.push(...group.groups);
      }
      level = next;
    }
  }
  return open;
}

// The same, but only so many groups that the picture can be read in the window. Groups whose targets
// are all in one state close first: a closed group still shows that state. `--collapse` opens its
// groups in any case.
//
// `scaleOf(open)` is the scale at which the window shows the whole picture.
function firstOpenThatFits(model, scaleOf) {
  let open = firstOpen(model);
  if (model.data.depth) return open;
  const kept = new Set();
  let scale = scaleOf(open);
  for (let tries = 0; scale < READABLE && tries < MOST_TRIES; tries += 1) {
    const closed = dullest(model, open, kept, scale < SMALLEST);
    if (closed.length === 0) break;
    const fewer = new Set(open);
    for (const id of closed) fewer.delete(id);
    const larger = scaleOf(fewer);
    if (larger > scale * 1.02) [open, scale] = [fewer, larger];
    else for (const id of closed) kept.add(id);
  }
  return open;
}

// The largest of the innermost open groups, and those that are as large. `any`: also groups whose
// targets are in several states, if there are no others.
function dullest(model, open, kept, any) {
  const found = [];
  eachGroup(model.root, (group) => {
    if (!open.has(group.id) || kept.has(group.id)) return;
    if (!group.groups.some((inner) => open.has(inner.id))) found.push(group);
  });
  const isDull = (group) => group.members.every((member) => model.nodes[member].state === model.nodes[group.members[0]].state);
  const dull = found.filter(isDull);
  const among = dull.length || !any ? dull : found;
  const size = (group) => group.leaves.length + group.groups.length;
  const most = Math.max(...among.map(size));
  return among.filter((group) => size(group) === most).map((group) => group.id);
}
