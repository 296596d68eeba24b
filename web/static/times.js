// Shows <time> in the reader's own zone; UTC stays on hover. The page runs this before it is first drawn:
// local times are wider or narrower than those in UTC, and what was drawn would move.
const parts = { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" };
const near = new Intl.DateTimeFormat(undefined, parts);
const far = new Intl.DateTimeFormat(undefined, { ...parts, year: "numeric" });

export function showLocalTimes(root) {
  const year = new Date().getFullYear();
  for (const element of root.querySelectorAll("time[datetime]")) {
    const at = new Date(element.dateTime);
    element.textContent = (at.getFullYear() === year ? near : far).format(at);
  }
}

showLocalTimes(document);
