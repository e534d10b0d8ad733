// The log of an attempt: its end first, then what is added; earlier parts when they are asked for.

const MOST_LINES = 20000; // that a page holds; of more, the first ones go
const STAMP = /^\d{4}-\d\d-\d\dT(\d\d:\d\d:\d\d)\.\d{3}Z ?/;

function lineOf(text) {
  const stamp = STAMP.exec(text);
  const time = html("time", {}, stamp ? stamp[1] : "");
  return html("div", {}, time, html("span", {}, stamp ? text.slice(stamp[0].length) : text));
}

function startLog() {
  const words = new URLSearchParams(location.search);
  const place = byId("log");
  let start = 0; // position of the first line that is shown
  let follows = true;

  const isAtEnd = () => window.innerHeight + window.scrollY >= document.documentElement.scrollHeight - 40;
  const toEnd = () => window.scrollTo(0, document.documentElement.scrollHeight);

  function receive(message) {
    if (!message.log) return;
    showFacts(message.log);
    const lines = message.lines.map(lineOf);
    if (message.is_all) {
      place.replaceChildren(...lines);
      start = message.start;
    } else {
      place.append(...lines);
    }
    while (place.children.length > MOST_LINES) {
      place.firstElementChild.remove();
      start = -1; // where the first line stands is not known any more
    }
    byId("earlier").hidden = start <= 0;
    if (follows && lines.length) toEnd();
    byId("end").hidden = isAtEnd();
    document.body.dataset.ready = "yes";
    document.body.dataset.log = message.log.is_over ? "over" : "grows";
  }

  function showFacts(log) {
    byId("problem").textContent = legible(log.problem);
    byId("problem").hidden = !log.problem;
    byId("path").textContent = legible(log.path);
    const nothing = log.is_over ? "; nothing was printed" : "; nothing was printed so far";
    const isEmpty = !log.problem && log.number !== null && place.children.length === 0;
    byId("how").textContent = log.number === null ? "" : legible(log.how) + (isEmpty ? nothing : "");
    fill(byId("attempt"), log.attempts.map(([number, how]) => [String(number), `attempt ${number}: ${how}`]), String(log.number), "attempt");
    const ranks = Array.from({ length: log.ranks ? log.ranks + 1 : 0 }, (_, rank) => [String(rank), `rank ${rank}`]);
    fill(byId("rank"), ranks, words.get("rank") || "0", "rank");
  }

  // A choice leads to another address, so that each log has one.
  function fill(choice, options, chosen, key) {
    const text = JSON.stringify(options);
    if (choice.dataset.options === text) return;
    choice.dataset.options = text;
    choice.replaceChildren(...options.map(([value, label]) => html("option", { value }, label)));
    choice.value = chosen;
    choice.hidden = options.length < 2;
    choice.onchange = () => {
      words.set(key, choice.value);
      if (key === "attempt") words.delete("rank");
      location.search = words.toString();
    };
  }

  async function showEarlier() {
    const button = byId("earlier");
    button.disabled = true;
    try {
      const asked = new URLSearchParams(words);
      asked.set("before", String(start));
      const answer = await fetch(`part?${asked}`);
      if (!answer.ok) throw new Error(await answer.text());
      const part = await answer.json();
      const height = document.documentElement.scrollHeight;
      place.prepend(...part.lines.map(lineOf));
      start = part.start;
      follows = false;
      window.scrollBy(0, document.documentElement.scrollHeight - height);
      button.hidden = start <= 0;
    } catch (error) {
      say(`earlier lines cannot be read: ${error.message}`, true);
    }
    button.disabled = false;
  }

  window.addEventListener("scroll", () => {
    follows = isAtEnd();
    byId("end").hidden = follows;
  });
  byId("end").addEventListener("click", toEnd);
  byId("earlier").addEventListener("click", showEarlier);
  byId("times").addEventListener("change", () => place.classList.toggle("timed", byId("times").checked));
  byId("wrap").addEventListener("change", () => place.classList.toggle("wrap", byId("wrap").checked));
  byId("theme").addEventListener("click", () => toggleTheme(byId("theme")));
  follow(`lines?${words}`, receive);
}

setTheme();
startLog();
