// What a month of an agent's work earns under each pricing model: the same figures, as the same texts, as
// web/views/estimate.py. Money is BigInt pico-cents; no number with a fraction comes in.
const PICO = 10n ** 12n;
const WIDTH = 1000n;
const HEIGHT = 240n;

// Returns the pico-cents of decimal text in cents, or null for anything that Rev does not take as a rate.
export function parseCents(text) {
  const match = /^(\d{0,10})(?:\.(\d*))?$/.exec(text);
  if (!match || text.length > 30 || !/\d/.test(text)) return null;
  const part = (match[2] ?? "").replace(/0+$/, "");
  if (part.length > 12) return null;
  const pico = BigInt(match[1] || "0") * PICO + BigInt(part.padEnd(12, "0"));
  return pico <= 10n ** 9n * PICO ? pico : null;
}

// `work`: calls, tokens, success (percent) as BigInt. `rates`: flat, base, token, bonus in pico-cents.
export function figures(work, rates) {
  const wins = (work.calls * work.success) / 100n;
  const amounts = {
    flat: work.calls * rates.flat,
    base: work.calls * rates.base,
    token: work.calls * work.tokens * rates.token,
    bonus: wins * rates.bonus,
  };
  amounts.hybrid = amounts.base + amounts.token + amounts.bonus;
  const more = amounts.hybrid - amounts.flat;
  amounts.difference = size(more);
  const shown = {};
  for (const [name, amount] of Object.entries(amounts)) {
    shown[name] = dollars(amount);
    shown[`${name}_cents`] = cents(amount);
  }
  return {
    ...shown,
    calls: grouped(work.calls),
    tokens: grouped(work.tokens),
    success: `${work.success} %`,
    wins: grouped(wins),
    direction: more >= 0n ? "more" : "less",
    percent: percent(more, amounts.flat),
    break_even: breakEven(rates.flat, rates.bonus),
    ...lines(work, rates, amounts),
  };
}

function size(number) {
  return number < 0n ? -number : number;
}

function grouped(number) {
  return String(number).replace(/\B(?=(\d{3})+$)/g, ",");
}

function dollars(pico) {
  const whole = (pico + PICO / 2n) / PICO;
  const part = String(whole % 100n).padStart(2, "0");
  return `$${grouped(whole / 100n)}${part === "00" ? "" : `.${part}`}`;
}

function cents(pico) {
  const part = String(pico % PICO).padStart(12, "0").replace(/0+$/, "");
  return String(pico / PICO) + (part && `.${part}`);
}

function percent(more, flat) {
  if (flat === 0n) return "";
  return `${more >= 0n ? "+" : "−"}${grouped((200n * size(more) + flat) / (2n * flat))} %`;
}

function breakEven(flat, bonus) {
  if (flat > bonus) return "At no success rate does a price per outcome earn what a price per call does.";
  const tenths = bonus ? (1000n * flat + bonus - 1n) / bonus : 0n;
  const rate = `${tenths / 10n}${tenths % 10n ? `.${tenths % 10n}` : ""}`;
  return `From a success rate of ${rate} %, a price per outcome earns at least as much as a price per call.`;
}

function lines(work, rates, amounts) {
  const allWon = work.calls * rates.bonus;
  const fixed = amounts.base + amounts.token;
  const ends = {
    flat: [amounts.flat, amounts.flat],
    token: [amounts.token, amounts.token],
    bonus: [0n, allWon],
    hybrid: [fixed, fixed + allWon],
  };
  const top = topOf(Object.values(ends).reduce((most, [, right]) => (right > most ? right : most), 0n));
  const height = (amount) => HEIGHT - (amount * HEIGHT) / top;
  const shown = {};
  for (const [name, [left, right]] of Object.entries(ends)) {
    shown[`line_${name}`] = `M0 ${height(left)}L${WIDTH} ${height(right)}`;
  }
  return {
    ...shown,
    line_now: `M${(work.success * WIDTH) / 100n} 0V${HEIGHT}`,
    scale_top: dollars(top),
    scale_middle: dollars(top / 2n),
  };
}

function topOf(most) {
  for (let step = 100n * PICO; ; step *= 10n) {
    for (const times of [1n, 2n, 5n]) if (step * times >= most) return step * times;
  }
}
