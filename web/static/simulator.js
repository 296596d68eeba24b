// Turns each select of a simulator into a slider, and shows its figures anew while they are dragged. The page
// runs this before it is first drawn, for sliders take less room than what they replace.
import { figures, parseCents } from "./estimate.js";

function run(form) {
  for (const select of form.querySelectorAll("select")) slide(select);
  form.querySelector("[data-send]")?.setAttribute("hidden", "");
  form.addEventListener("input", () => show(form));
  form.addEventListener("submit", (event) => event.preventDefault());
  show(form); // a reloaded page keeps what was chosen
}

function slide(select) {
  const range = document.createElement("input");
  range.type = "range";
  range.max = String(select.options.length - 1);
  range.value = String(select.selectedIndex);
  range.setAttribute("aria-labelledby", `${select.id}-label`);
  const tell = () => range.setAttribute("aria-valuetext", select.options[select.selectedIndex].text);
  range.addEventListener("input", () => {
    select.selectedIndex = Number(range.value);
    tell();
  });
  tell();
  select.hidden = true;
  select.after(range);
}

function show(form) {
  const rates = {};
  for (const name of ["flat", "base", "token", "bonus"]) {
    const input = form.elements[name];
    rates[name] = parseCents(input.value.trim());
    input.setAttribute("aria-invalid", String(rates[name] === null));
  }
  if (Object.values(rates).includes(null)) return;
  const work = {};
  for (const name of ["calls", "tokens", "success"]) work[name] = BigInt(form.elements[name].value);
  const found = figures(work, rates);
  for (const element of form.querySelectorAll("[data-figure]")) {
    const name = element.dataset.figure;
    if (element.tagName === "path") element.setAttribute("d", found[name]);
    else element.textContent = found[name];
    if (element.tagName === "DATA") {
      element.value = found[`${name}_cents`];
      element.title = `${element.value} cents`;
    }
  }
}

for (const form of document.querySelectorAll("[data-simulator]")) run(form);
