// Names -> a tree of groups: `tokenize/wiki` lies in `tokenize/`. Pure.
//
// A group has { id, label, title, parent, groups, leaves, members }: `leaves` are the targets that
// lie in it directly, `members` all that lie below it. A group that would be too large for a
// screen is divided: at first into what is built and what is to be done, then by the shape of names
// (`shard-#`), then into runs of neighbours.

const MOST_IN_A_GROUP = 40;
const MANY = 12;
const FEWEST_BUILT = 6;
const ORDER = new Intl.Collator("en", { numeric: true });

function groupTree(nodes) {
  const root = newGroup("", "", null);
  const byId = new Map();
  nodes.forEach((node, index) => {
    const parts = node.name.split("/");
    let group = root;
    for (let depth = 1; depth < parts.length; depth += 1) {
      const id = parts.slice(0, depth).join("/") + "/";
      let inner = byId.get(id);
      if (!inner) {
        inner = newGroup(id, parts[depth - 1] + "/", group);
        byId.set(id, inner);
        group.groups.push(inner);
      }
      group = inner;
    }
    group.leaves.push(index);
  });
  simplify(root);
  setApart(root, nodes);
  divide(root, nodes);
  finish(root);
  return root;
}

function newGroup(id, label, parent) {
  return { id, label, parent, groups: [], leaves: [], members: [] };
}

// A group of one target is dissolved; a group that only holds another group is merged with it.
function simplify(group) {
  for (const inner of group.groups) simplify(inner);
  const kept = [];
  for (const inner of group.groups) {
    if (inner.groups.length === 0 && inner.leaves.length === 1) {
      group.leaves.push(inner.leaves[0]);
    } else if (inner.groups.length === 1 && inner.leaves.length === 0) {
      const only = inner.groups[0];
      only.label = inner.label + only.label;
      only.parent = group;
      kept.push(only);
    } else {
      kept.push(inner);
    }
  }
  group.groups = kept;
}

// Where a part of many targets is to be done, those that are built become a group of their own.
function setApart(group, nodes) {
  for (const inner of group.groups) setApart(inner, nodes);
  const built = group.leaves.filter((leaf) => nodes[leaf].state === DONE);
  const isMuch = group.leaves.length > (group.parent ? MANY : MOST_IN_A_GROUP);
  if (!isMuch || built.length < FEWEST_BUILT || built.length === group.leaves.length) return;
  group.leaves = group.leaves.filter((leaf) => nodes[leaf].state !== DONE);
  subgroup(group, "built", built);
}

function divide(group, nodes) {
  for (const inner of group.groups) divide(inner, nodes);
  if (group.leaves.length + group.groups.length > MOST_IN_A_GROUP) {
    const shapes = new Map();
    for (const leaf of group.leaves) {
      const shape = nodes[leaf].name.slice(group.id.length).replace(/\d+/g, "#");
      if (!shapes.has(shape)) shapes.set(shape, []);
      shapes.get(shape).push(leaf);
    }
    if (shapes.size > 1 || group.groups.length) {
      group.leaves = [];
      for (const [shape, leaves] of shapes) {
        if (leaves.length < 3) group.leaves.push(...leaves);
        else subgroup(group, shape, leaves);
      }
    }
    for (const inner of [group, ...group.groups]) intoRuns(inner, nodes);
    if (group.groups.length > MOST_IN_A_GROUP) groupRuns(group);
  }
}

function subgroup(group, label, leaves) {
  const inner = newGroup(group.id + "*" + label, label, group);
  inner.leaves = leaves;
  group.groups.push(inner);
}

// Divide the targets of one group into runs of neighbours by name, and these again if need be.
function intoRuns(group, nodes) {
  if (group.leaves.length <= MOST_IN_A_GROUP) return;
  const sorted = [...group.leaves].sort((a, b) => ORDER.compare(nodes[a].name, nodes[b].name));
  const parts = Math.min(MOST_IN_A_GROUP, Math.ceil(sorted.length / 25));
  const short = (leaf) => nodes[leaf].name.slice(nodes[leaf].name.lastIndexOf("/") + 1);
  group.leaves = [];
  for (const run of evenly(sorted, parts)) {
    subgroup(group, fromTo(short(run[0]), short(run[run.length - 1])), run);
    intoRuns(group.groups[group.groups.length - 1], nodes);
  }
}

function evenly(items, parts) {
  const at = (part) => Math.round((part * items.length) / parts);
  return Array.from({ length: parts }, (_, part) => items.slice(at(part), at(part + 1)));
}

// `shard-0000` and `shard-0031`: `shard-0000…0031`.
function fromTo(first, last) {
  let same = 0;
  while (same < Math.min(first.length, last.length) && first[same] === last[same]) same += 1;
  while (same > 0 && /\d/.test(first[same - 1])) same -= 1;
  return first + "…" + last.slice(same);
}

// Too many groups side by side: runs of neighbours become groups.
function groupRuns(group) {
  const sorted = [...group.groups].sort((a, b) => ORDER.compare(a.label, b.label));
  group.groups = [];
  for (const run of evenly(sorted, Math.min(MOST_IN_A_GROUP, Math.ceil(sorted.length / 25)))) {
    const label = fromTo(run[0].label, run[run.length - 1].label);
    const outer = newGroup(group.id + "**" + label, label, group);
    outer.groups = run;
    run.forEach((inner) => { inner.parent = outer; });
    group.groups.push(outer);
  }
}

function finish(group) {
  group.members = [...group.leaves];
  for (const inner of group.groups) {
    inner.parent = group;
    finish(inner);
    for (const member of inner.members) group.members.push(member);
  }
}

function eachGroup(group, visit) {
  for (const inner of group.groups) {
    visit(inner);
    eachGroup(inner, visit);
  }
}

function countDrifted(members, nodes) {
  return members.reduce((count, member) => count + (nodes[member].drift ? 1 : 0), 0);
}

// How many of some targets are in each state.
function countStates(members, nodes, states) {
  const counts = new Array(states).fill(0);
  for (const member of members) counts[nodes[member].state] += 1;
  return counts;
}
