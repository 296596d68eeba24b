// Shows <time> in the reader's own zone; UTC stays on hover.
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
