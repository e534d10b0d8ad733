// Hears from the server what is new, as long as the page can be seen, and says if it does not answer.

const SILENCE = 25000; // milliseconds: it says every ten seconds that it is there
const AGAIN = 3000;

// `receive` gets each message. A hidden page does not listen: a browser has few connections for
// all pages of a server.
function follow(address, receive) {
  let source = null;
  let last = "";
  let silence = 0;
  let since = "";

  function open() {
    close();
    source = new EventSource(last ? `${address}${address.includes("?") ? "&" : "?"}after=${encodeURIComponent(last)}` : address);
    source.addEventListener("message", (event) => {
      last = event.lastEventId;
      heard();
      const message = JSON.parse(event.data);
      sayTrouble(message.trouble);
      receive(message);
      if (document.hidden) close(); // it was opened behind another one
    });
    source.addEventListener("alive", heard);
    source.addEventListener("error", lost);
    wait();
  }

  function close() {
    clearTimeout(silence);
    if (source) source.close();
    source = null;
  }

  function wait() {
    clearTimeout(silence);
    silence = setTimeout(lost, SILENCE);
  }

  function heard() {
    wait();
    if (since) say("");
    since = "";
  }

  function lost() {
    since = since || new Date().toLocaleTimeString();
    say(`no answer since ${since}: this may be old. If marin-build ui has ended, start it again and open the new address.`, true);
    clearTimeout(silence);
    // A browser takes up a lost connection by itself, but not one that was refused.
    if (!source || source.readyState === EventSource.CLOSED) silence = setTimeout(open, AGAIN);
    else wait();
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) close();
    else if (!source) open();
  });
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", (event) => { if (event.persisted) open(); });
  open();
}

let trouble = "";

function sayTrouble(text) {
  if (text === trouble) return;
  trouble = text;
  say(text ? `${text}; it is tried again` : "", Boolean(text));
}

function say(text, isBad) {
  const place = byId("connection");
  place.textContent = legible(text || trouble);
  place.classList.toggle("bad", Boolean(isBad || trouble));
}

// How many targets of a run ended how; what ran when it died, was interrupted.
function countsOf(run) {
  const { begun, ...counts } = run.counts;
  if (!begun) return counts;
  return run.is_over ? { ...counts, interrupted: (counts.interrupted || 0) + begun } : run.counts;
}

function outcomeBadge(outcome) {
  return html("span", { class: `outcome of-${outcome}` }, outcome);
}
