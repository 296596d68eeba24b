// A tooltip over each chart: the row of its table that the pointer is above.
export function explainCharts(root) {
  for (const chart of root.querySelectorAll("[data-chart]")) explain(chart);
}

function explain(chart) {
  const plot = chart.querySelector(".plot");
  const picture = plot.querySelector("svg");
  const heads = [...chart.querySelectorAll("thead th")];
  const rows = [...chart.querySelectorAll("tbody tr")];
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  const band = document.createElement("div");
  band.className = "band";
  band.hidden = true;
  plot.append(band, tip);

  plot.addEventListener("pointermove", (event) => {
    const box = picture.getBoundingClientRect();
    const index = Math.floor(((event.clientX - box.left) / box.width) * rows.length);
    if (index < 0 || index >= rows.length) return hide();
    fill(tip, heads, [...rows[index].cells]);
    const left = box.left - plot.getBoundingClientRect().left;
    const slot = box.width / rows.length;
    band.style.left = `${left + index * slot}px`;
    band.style.width = `${slot}px`;
    band.hidden = tip.hidden = false;
    const middle = left + (index + 0.5) * slot;
    const most = plot.clientWidth - tip.offsetWidth;
    const beside = middle + slot / 2 + 8;
    const place = beside <= most ? beside : middle - slot / 2 - 8 - tip.offsetWidth;
    tip.style.left = `${Math.max(0, Math.min(most, place))}px`;
  });
  plot.addEventListener("pointerleave", hide);

  function hide() {
    band.hidden = tip.hidden = true;
  }
}

function fill(tip, heads, cells) {
  tip.replaceChildren();
  line(tip, "", cells[0].textContent, cells.at(-1).textContent, "whole");
  for (let index = 2; index < cells.length - 1; index += 1) {
    const value = cells[index].querySelector("data");
    if (value.value !== "0") line(tip, heads[index].dataset.series, heads[index].textContent, value.textContent);
  }
  line(tip, "", "Events", cells[1].textContent, "events");
}

function line(tip, series, name, value, kind = "part") {
  const row = document.createElement("p");
  row.className = kind;
  if (series) {
    const dot = document.createElement("i");
    dot.className = `s${series}`;
    row.append(dot);
  }
  const label = document.createElement("span");
  label.textContent = name;
  const amount = document.createElement("b");
  amount.textContent = value;
  row.append(label, amount);
  tip.append(row);
}
