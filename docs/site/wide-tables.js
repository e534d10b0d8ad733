// A table that is wider than its page can be moved sideways; this lets the keyboard do it, too.
function reachWideTables() {
  for (const box of document.querySelectorAll(".md-typeset__scrollwrap")) {
    box.tabIndex = box.scrollWidth > box.clientWidth ? 0 : -1;
  }
}
window.addEventListener("load", reachWideTables);
window.addEventListener("resize", reachWideTables);
