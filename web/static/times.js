// Shows <time> in the reader's own zone; UTC stays on hover.
const format = new Intl.DateTimeFormat(undefined, {
  day: "numeric", month: "short", hour: "2-digit", minute: "2-digit",
});

export function showLocalTimes(root) {
  for (const element of root.querySelectorAll("time[datetime]")) {
    element.textContent = format.format(new Date(element.dateTime));
  }
}
