// What all scripts of our pages use: elements, texts in them, durations, and the theme.

const byId = (id) => document.getElementById(id);

const SVG = "http://www.w3.org/2000/svg";
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

// A text that cannot mislead: characters that turn the reading direction, or show nothing, are
// spelled out.
function legible(text) {
  return text.replace(UNSEEN, (letter) => "\\u" + letter.charCodeAt(0).toString(16).padStart(4, "0"));
}

function svg(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value);
  for (const child of children) element.append(child);
  return element;
}

function html(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value);
  for (const child of children) element.append(typeof child === "string" ? legible(child) : child);
  return element;
}

function numberText(number) {
  return number.toLocaleString("en-US");
}

function durationText(seconds) {
  if (seconds < 1) return seconds < 0.05 ? "<0.1 s" : `${seconds.toFixed(1)} s`;
  for (const [unit, name, limit] of [[1, "s", 60], [60, "min", 60], [3600, "h", 72]]) {
    const amount = seconds / unit;
    if (amount < limit) return `${amount < 9.95 ? +amount.toFixed(1) : Math.round(amount)} ${name}`;
  }
  return `${Math.round(seconds / 8640) / 10} d`;
}

function setTheme() {
  try {
    const kept = localStorage.getItem("marin-build-theme");
    if (kept === "dark" || kept === "light") document.documentElement.dataset.theme = kept;
  } catch {
    // No storage: the theme of the system.
  }
}

function toggleTheme(button) {
  const root = document.documentElement;
  const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = isDark ? "light" : "dark";
  button.setAttribute("aria-pressed", String(!isDark));
  try {
    localStorage.setItem("marin-build-theme", root.dataset.theme);
  } catch {
    // The browser allows no storage: the choice is not kept.
  }
}
