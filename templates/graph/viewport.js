// Pan and zoom: what part of the picture is in the window.

const CLOSEST = 2.5;
const FARTHEST = 0.03;
const READABLE = 0.6; // below that names are hard to read
const SMALLEST = 0.45; // below that names cannot be read: the beginning is shown instead
const AROUND = 36;
const BELOW = 62; // the buttons

function makeViewport(canvas, layer) {
  let view = { x: 0, y: 0, scale: 1 };
  let moved = false;
  let fitted = false;
  const apply = () => {
    layer.setAttribute("transform", `translate(${view.x} ${view.y}) scale(${view.scale})`);
    canvas.classList.toggle("far", view.scale < 0.4);
  };
  const size = () => ({ width: canvas.clientWidth || 800, height: canvas.clientHeight || 600 });
  const zoomAt = (factor, x, y) => {
    const scale = Math.max(FARTHEST, Math.min(CLOSEST, view.scale * factor));
    const by = scale / view.scale;
    fitted = false;
    view = { scale, x: x - (x - view.x) * by, y: y - (y - view.y) * by };
    apply();
  };
  // A sheet of paper is narrower than the window: it shows what the window shows, smaller.
  addEventListener("beforeprint", () => {
    const { width, height } = size();
    canvas.setAttribute("viewBox", `0 0 ${width} ${height}`);
  });
  addEventListener("afterprint", () => canvas.removeAttribute("viewBox"));
  const pan = (dx, dy) => {
    fitted = false;
    view = { ...view, x: view.x + dx, y: view.y + dy };
    apply();
  };
  // The scale at which a rectangle fits; no larger than life, or nearly.
  const scaleOf = (extent) => {
    const { width, height } = size();
    return Math.min(
      (width - 2 * AROUND) / Math.max(extent.width, 1),
      (height - AROUND - BELOW) / Math.max(extent.height, 1),
      1.15,
    );
  };
  const show = (extent, scale) => {
    const { width, height } = size();
    const wide = extent.width * scale;
    const left = wide > width - 2 * AROUND + 1 ? AROUND : (width - wide) / 2;
    const top = (height + AROUND - BELOW - extent.height * scale) / 2;
    view = { scale, x: left - extent.left * scale, y: top - extent.top * scale };
    fitted = true;
    apply();
  };
  // Show a rectangle whole.
  const fit = (extent) => show(extent, Math.max(scaleOf(extent), FARTHEST));
  // The same; or, if that would be too small to read, its beginning.
  const begin = (extent) => {
    const whole = scaleOf(extent);
    show(extent, whole < SMALLEST ? READABLE : whole);
  };
  // Bring a rectangle into sight, with as little movement as there can be.
  const reveal = (place) => {
    const { width, height } = size();
    const margin = 40;
    const left = view.x + place.x * view.scale;
    const top = view.y + place.y * view.scale;
    const right = left + place.width * view.scale;
    const bottom = top + place.height * view.scale;
    let dx = 0, dy = 0;
    if (left < margin) dx = margin - left;
    else if (right > width - margin) dx = width - margin - right;
    if (top < margin) dy = margin - top;
    else if (bottom > height - margin) dy = height - margin - bottom;
    if (dx || dy) pan(dx, dy);
  };
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (event.shiftKey) {
      pan(-event.deltaY - event.deltaX, 0);
      return;
    }
    const bounds = canvas.getBoundingClientRect();
    const unit = event.deltaMode === 1 ? 16 : 1;
    const factor = Math.exp(-Math.max(-120, Math.min(120, event.deltaY * unit)) * 0.0022);
    zoomAt(factor, event.clientX - bounds.left, event.clientY - bounds.top);
  }, { passive: false });
  // One pointer pans, two zoom where they are.
  const fingers = new Map();
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    if (fingers.size === 0) moved = false;
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  });
  canvas.addEventListener("pointermove", (event) => {
    const last = fingers.get(event.pointerId);
    if (!last) return;
    const here = { x: event.clientX, y: event.clientY };
    const [dx, dy] = [here.x - last.x, here.y - last.y];
    if (!moved && Math.hypot(dx, dy) < 4) return;
    if (!moved) canvas.setPointerCapture(event.pointerId);
    moved = true;
    canvas.classList.add("dragged");
    fingers.set(event.pointerId, here);
    const other = [...fingers].find(([id]) => id !== event.pointerId);
    if (!other) {
      pan(dx, dy);
      return;
    }
    const apart = (one) => Math.max(Math.hypot(one.x - other[1].x, one.y - other[1].y), 1);
    const bounds = canvas.getBoundingClientRect();
    zoomAt(apart(here) / apart(last), other[1].x - bounds.left, other[1].y - bounds.top);
  });
  const end = (event) => {
    fingers.delete(event.pointerId);
    if (fingers.size === 0) canvas.classList.remove("dragged");
  };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
  return {
    fit, begin, scaleOf, reveal, pan,
    zoom: (factor) => zoomAt(factor, size().width / 2, size().height / 2),
    wasDragged: () => moved,
    isFitted: () => fitted,
    get: () => view,
    // Keep a place where it was on the screen, after the layout has changed.
    keep: (before, after) => pan((before.x - after.x) * view.scale, (before.y - after.y) * view.scale),
  };
}
