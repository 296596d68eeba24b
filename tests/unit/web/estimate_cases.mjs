// Reads cases as JSON lines and prints what web/static/estimate.js makes of them, for test_estimate.py to compare.
import { createInterface } from "node:readline";
import { figures, parseCents } from "../../../web/static/estimate.js";

for await (const line of createInterface({ input: process.stdin })) {
  const { work, rates, text } = JSON.parse(line);
  if (text !== undefined) {
    const pico = parseCents(text);
    console.log(JSON.stringify(pico === null ? null : String(pico)));
    continue;
  }
  const big = (fields) => Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, BigInt(value)]));
  console.log(JSON.stringify(figures(big(work), big(rates))));
}
