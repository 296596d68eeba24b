// revgrid: the client of Rev for Node 18 and later, by fetch alone.
//
// What is tried again: no answer, 429 and 5xx, as long as a repeat cannot do a thing twice. A call
// that charges or opens something carries an Idempotency-Key that is the same at every try. One
// that is protected by nothing (createWebhook) is repeated only when Rev certainly did not do it.
//
// Amounts are the numbers that JSON.parse gives, not exact decimals; see README.md.

import { createHmac, randomUUID, timingSafeEqual } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';

export const VERSION = '0.1.0';
const DEFAULT_URL = 'http://127.0.0.1:8080';
const FIRST_PAUSE_MS = 100; // doubled each time, the half of it by chance
const LONGEST_PAUSE_MS = 5000;
const DEEPEST = 200; // lists and objects inside each other; Rev takes fewer, and what contains itself ends here
const NEVER_SENT = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT']);
const NO_TRUST = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY/; // codes of a certificate that is refused

/** Everything that this package throws about an exchange with Rev. After an error that leaves it
 * open whether something was charged, repeat the call with its idempotencyKey: it is charged once. */
export class RevError extends Error {
  constructor(message, { cause, idempotencyKey } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.idempotencyKey = idempotencyKey ?? null;
  }
}

/** Nothing came back in time; `cause` says how. */
export class NoAnswerError extends RevError {}

/** The signature of a webhook is missing or is not that of this body and secret. */
export class SignatureError extends RevError {}

/** Rev, or a proxy on the way, said no, or answered what is no JSON object. `outcome`: where the
 * outcome stands that is the reason; `budget`: the budget that is; `balanceCents`: the prepaid
 * credit that does not suffice; `errors`: what is wrong with which event of a batch. */
export class RefusedError extends RevError {
  constructor(status, body, text, idempotencyKey) {
    super(`${status}${body.code ? ` ${body.code}` : ''}: ${body.error ?? text.slice(0, 200)}`, { idempotencyKey });
    this.status = status;
    this.code = body.code ?? null;
    this.requestId = body.request_id ?? null;
    this.errors = body.errors ?? [];
    this.outcome = body.outcome ?? null;
    this.budget = body.budget ?? null;
    this.balanceCents = body.balance_cents ?? null;
  }
}

export class Rev {
  #headers;
  #deps;

  constructor({
    apiKey = process.env.REVGRID_API_KEY,
    baseUrl = process.env.REV_URL || DEFAULT_URL,
    timeoutMs = 10_000,
    retryForMs = 30_000,
    fetch = globalThis.fetch,
    sleep = wait,
    now = () => performance.now(),
    random = Math.random,
    newKey = randomUUID,
  } = {}) {
    if (!apiKey) throw new TypeError('apiKey is required; pass it, or set REVGRID_API_KEY');
    if (!/^[\x21-\x7e]+$/.test(apiKey)) throw new TypeError('apiKey must contain only visible ASCII characters');
    if (!/^https?:$/.test(new URL(baseUrl).protocol)) throw new TypeError('baseUrl must begin with http:// or https://');
    this.baseUrl = baseUrl.replace(/\/+$/, '');
    this.#headers = { Authorization: `Bearer ${apiKey}`, Accept: 'application/json', 'User-Agent': `revgrid-js/${VERSION}` };
    this.#deps = { timeoutMs, retryForMs, fetch, sleep, now, random, newKey };
  }

  /** Meter one thing that an agent did; its price, which no crash changes. A 202 has status 'accepted' and price null. */
  async meter(event, options) {
    return { status: 'priced', ...(await this.#write('/v1/meter', event, options)) };
  }

  /** Meter 1 to 1,000 events, all or none. `options.customerId`: with a platform key. */
  async meterBatch(events, options = {}) {
    const body = { events, customer_id: options.customerId };
    return { status: 'priced', ...(await this.#write('/v1/meter/batch', body, options)) };
  }

  /** Register a task whose price, in cents, depends on its result. */
  registerOutcome(outcome, options) {
    return this.#write('/v1/outcomes', outcome, options);
  }

  /** Say how an outcome ended, by its task_id or outcome_id; its end is charged now. */
  async resolveOutcome(id, verdict, options) {
    return this.#write(`/v1/outcomes/${segment(id)}/resolve`, verdict, options);
  }

  /** An outcome as it stands. */
  async outcome(id, query) {
    return this.#call('GET', withQuery(`/v1/outcomes/${segment(id)}`, query));
  }

  /** What became of an event. */
  async event(id, query) {
    return this.#call('GET', withQuery(`/v1/events/${segment(id)}`, query));
  }

  /** Totals of a period, or of [from, to). */
  async usage(query) {
    return this.#call('GET', withQuery('/v1/usage', query));
  }

  /** What each action costs now. */
  async pricing(query) {
    return this.#call('GET', withQuery('/v1/pricing', query));
  }

  /** The prepaid credit that can be drawn now. */
  async balance(query) {
    return this.#call('GET', withQuery('/v1/balance', query));
  }

  /** What is owed for a `month` (the current one), line by line; the same `as_of` gives the same statement. */
  async statement(query) {
    return this.#call('GET', withQuery('/v1/statement', query));
  }

  /** A page of invoices, the latest month first. */
  async invoices(query) {
    return this.#call('GET', withQuery('/v1/invoices', query));
  }

  /** An invoice with its credit notes and lines. */
  async invoice(number, query) {
    return this.#call('GET', withQuery(`/v1/invoices/${segment(number)}`, query));
  }

  /** The budgets, with what is spent and left of each; `amount_cents`: whether so much more would fit. */
  async budgets(query) {
    return this.#call('GET', withQuery('/v1/budgets', query));
  }

  /** Hold money before an agent runs: `amount_cents`, or what the event `estimate` would cost. */
  async reserve(reservation, options) {
    return this.#write('/v1/reservations', reservation, options);
  }

  /** Release what a reservation holds. */
  async release(reservationId, query) {
    const path = withQuery(`/v1/reservations/${segment(reservationId)}/release`, query);
    return this.#call('POST', path, { text: '{}' });
  }

  /** A reservation. */
  async reservation(reservationId, query) {
    return this.#call('GET', withQuery(`/v1/reservations/${segment(reservationId)}`, query));
  }

  /** The open reservations. */
  async reservations(query) {
    return this.#call('GET', withQuery('/v1/reservations', query));
  }

  /** Make an endpoint; its `secret` is told by this answer alone. */
  async createWebhook(webhook) {
    return this.#call('POST', '/v1/webhooks', { text: encode(webhook), safe: false });
  }

  /** The customer's endpoints, without their secrets. */
  async webhooks(query) {
    return this.#call('GET', withQuery('/v1/webhooks', { limit: 1000, ...Object.fromEntries(entries(query ?? {}, 'the query')) }));
  }

  /** Delete an endpoint; nothing more is sent to it. */
  async deleteWebhook(id, query) {
    const gone = { success: true, deleted_id: id };
    return this.#call('DELETE', withQuery(`/v1/webhooks/${segment(id)}`, query), { gone });
  }

  /** Throws SignatureError if the signature is not that of this body and secret. */
  verifyWebhook(rawBody, signature, secret) {
    verifyWebhook(rawBody, signature, secret);
  }

  async #write(path, given, { idempotencyKey, respondAsync = false } = {}) {
    const body = Object.fromEntries(entries(given, 'the body'));
    const key = idempotencyKey ?? body.idempotency_key ?? this.#deps.newKey();
    return this.#call('POST', path, { text: encode(body), key, respondAsync });
  }

  /** One call from its first try to its result. `gone`: the result of a repeat that finds nothing left to do. */
  async #call(method, path, { text, key, safe = true, gone, respondAsync = false } = {}) {
    const { retryForMs, sleep, now, random } = this.#deps;
    const headers = new Headers(this.#headers);
    if (text !== undefined) headers.set('Content-Type', 'application/json');
    if (key !== undefined) headers.set('Idempotency-Key', utf8(key));
    if (respondAsync) headers.set('Prefer', 'respond-async');
    const began = now();
    for (let tries = 0, unsure = false; ; tries++) {
      const came = await this.#try(method, path, headers, text);
      if (came.body && came.status >= 200 && came.status < 300) return came.body;
      if (came.status === 404 && unsure && gone) return gone;
      const pause = retryAfterMs(came) + backoffMs(tries, random());
      if (!mayRepeat(came, safe) || now() - began + pause > retryForMs) throw refused(came, `${method} ${path}`, key);
      unsure ||= came.status !== undefined || came.sent;
      await sleep(pause);
    }
  }

  /** What came of one try: {status, headers, text, body}, or {error, sent, final}. */
  async #try(method, path, headers, body) {
    const { fetch, timeoutMs } = this.#deps;
    try {
      const signal = AbortSignal.timeout(timeoutMs);
      const answer = await fetch(this.baseUrl + path, { method, headers, body, signal, redirect: 'manual' });
      const text = await answer.text();
      const found = object(text);
      if (found && method === 'POST') found.replayed = answer.headers.get('Idempotent-Replayed') === 'true';
      return { status: answer.status, headers: answer.headers, text, body: found };
    } catch (error) {
      const code = String(error.cause?.code ?? error.code ?? '');
      return { error, sent: !NEVER_SENT.has(code) && !NO_TRUST.test(code), final: NO_TRUST.test(code) };
    }
  }
}

/** Throws SignatureError unless `signature` (X-Rev-Signature) is that of this body and secret.
 * `rawBody`: a string or bytes as they came, never parsed and written again. */
export function verifyWebhook(rawBody, signature, secret) {
  if (!secret) throw new TypeError('secret must not be empty');
  const expected = Buffer.from(createHmac('sha256', secret).update(rawBody).digest('hex'));
  const given = Buffer.from(String(signature ?? ''));
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    throw new SignatureError('the signature is missing or does not match this body and secret');
  }
}

function mayRepeat(came, safe) {
  if (came.error) return !came.final && (safe || !came.sent);
  if (came.status === 429) return true;
  return came.status >= 500 && (safe || came.body?.code === 'not_recorded');
}

function refused(came, what, key) {
  if (!came.error) return new RefusedError(came.status, came.body ?? {}, came.text || 'the response gives no reason', key);
  const reason = came.error.cause?.message || came.error.message;
  return new NoAnswerError(`no response to ${what}: ${reason}`, { cause: came.error, idempotencyKey: key });
}

function backoffMs(tries, chance) {
  return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** tries) * (0.5 + chance / 2);
}

function retryAfterMs({ headers }) {
  const text = headers?.get('Retry-After') ?? '';
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  // a date counts from the answer's own, so that our clock does not matter
  const ahead = Date.parse(text) - Date.parse(headers?.get('Date') ?? '');
  return ahead > 0 ? ahead : 0;
}

function object(text) {
  try {
    const value = JSON.parse(text);
    return value !== null && typeof value === 'object' && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined; // a proxy's page, say; its status still counts
  }
}

/** JSON of what the caller gave. Nothing becomes silently another thing, as with JSON.stringify, to which a Map is {},
 * NaN is null and a function nothing: a Map is an object, a bigint or a decimal (decimal.js, big.js, bignumber.js) the
 * number of the same digits, a Date ISO text, and what JSON cannot say is an error that names the place. */
function encode(value, name = 'the body', depth = 0) {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return JSON.stringify(value);
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new RangeError(`${name} is ${value}, which JSON cannot represent`);
    return JSON.stringify(value);
  }
  if (typeof value !== 'object') throw new TypeError(`${name} is ${value === undefined ? 'undefined' : `a ${typeof value}`}, which cannot be sent as JSON`);
  if (depth === DEEPEST) throw new RangeError(`${name} is nested too deeply, or contains itself`);
  if (Array.isArray(value)) return `[${Array.from(value, (item, i) => encode(item, `${name}[${i}]`, depth + 1))}]`;
  if (typeof value.toJSON === 'function') return encodeShown(value.toJSON(), value, name, depth);
  const members = entries(value, name).map(([key, item]) => `${JSON.stringify(key)}:${encode(item, depth ? `${name}.${key}` : key, depth + 1)}`);
  return `{${members}}`;
}

/** What the toJSON of an object gave. One with toFixed is a decimal: it gives text, which keeps its digits; as JSON they
 * are a number. Other text stays text, such as an id that happens to be all digits. */
function encodeShown(shown, value, name, depth) {
  if (value instanceof Date && shown === null) throw new RangeError(`${name} is an invalid date`);
  if (typeof value.toFixed !== 'function') return encode(shown, name, depth + 1);
  if (!/^-?(0|[1-9]\d*)(\.\d+)?(e[+-]?\d+)?$/i.test(shown)) throw new RangeError(`${name} is ${shown}, which is not a finite number`);
  return String(shown);
}

/** The members of an object or a Map, without those that are undefined. */
function entries(value, name) {
  const isMap = value instanceof Map;
  const tag = Object.prototype.toString.call(value).slice(8, -1);
  if (!isMap && tag !== 'Object') throw new TypeError(`${name} is of type ${tag}, which cannot be sent as JSON`);
  const found = isMap ? [...value] : Object.entries(value);
  const odd = found.find(([key]) => typeof key !== 'string');
  if (odd) throw new TypeError(`${name} has the key ${String(odd[0])}; keys must be strings`);
  return found.filter(([, item]) => item !== undefined);
}

function withQuery(path, query) {
  const given = entries(query ?? {}, 'the query').filter(([, value]) => value !== null);
  const shown = given.map(([name, value]) => [name, value instanceof Date ? value.toISOString() : String(value)]);
  return given.length ? `${path}?${new URLSearchParams(shown)}` : path;
}

function segment(id) {
  if (id === undefined || id === null || id === '') throw new TypeError('the id must not be empty');
  return encodeURIComponent(id);
}

/** Header values are bytes: those of the text in UTF-8. */
function utf8(text) {
  return String.fromCharCode(...new TextEncoder().encode(text));
}
