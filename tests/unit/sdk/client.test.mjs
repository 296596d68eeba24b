// revgrid for JavaScript, with answers by a script and a clock that its pauses move.
// Run by test_sdk_js.py: node --test tests/unit/sdk/client.test.mjs

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import { NoAnswerError, RefusedError, Rev, RevError, SignatureError, verifyWebhook } from '../../../sdk/js/index.js';

const METERED = { event_id: 42, price: { total_cents: 1.47 }, price_charged: 0.0147, outcome_id: null };
const EVENT = { agent_id: 'a', action: 'chat' };
const answer = (status, body, headers = {}) => () => new Response(typeof body === 'string' ? body : JSON.stringify(body), { status, headers });
const refusal = (status, code, headers) => answer(status, { error: 'no', code, request_id: 'r' }, headers);
const failing = (code) => () => { throw new TypeError('fetch failed', { cause: Object.assign(new Error(code), { code }) }); };
const RESET = failing('ECONNRESET');
const REFUSED = failing('ECONNREFUSED');

function scripted(...script) {
  const wire = { sent: [], pauses: [], now: 0, keys: 0 };
  const fetch = async (url, { method, headers, body, redirect }) => {
    wire.sent.push({ url, method, headers: Object.fromEntries(headers), body, redirect });
    return (script.length > 1 ? script.shift() : script[0])();
  };
  const sleep = async (ms) => { wire.pauses.push(ms); wire.now += ms; };
  const newKey = () => `made-${++wire.keys}`;
  wire.rev = new Rev({ apiKey: 'rg_x', baseUrl: 'http://rev/', fetch, sleep, newKey, now: () => wire.now, random: () => 0.5 });
  wire.sentKeys = () => wire.sent.map((one) => one.headers['idempotency-key']);
  return wire;
}

const WRITES = {
  meter: (rev, options) => rev.meter(EVENT, options),
  meterBatch: (rev, options) => rev.meterBatch([EVENT], options),
  registerOutcome: (rev, options) => rev.registerOutcome({ task_id: 't', agent_id: 'a', price_on_success: 1, expires_at: new Date(0) }, options),
  resolveOutcome: (rev, options) => rev.resolveOutcome('t', { success: true }, options),
};

for (const [name, write] of Object.entries(WRITES)) {
  test(`${name} has one key over all its tries`, async () => {
    const wire = scripted(RESET, REFUSED, refusal(429), refusal(500), answer(502, '<html>'), refusal(503, 'unknown'), answer(201, METERED));
    assert.equal((await write(wire.rev)).event_id, 42);
    assert.deepEqual(wire.sentKeys(), Array(7).fill('made-1'));
    assert.equal(new Set(wire.sent.map(({ url, body, method }) => `${method} ${url} ${body}`)).size, 1);
  });

  test(`${name} takes a key of the caller's own, and its errors tell it`, async () => {
    const wire = scripted(refusal(503, 'unknown'));
    await assert.rejects(write(wire.rev, { idempotencyKey: 'Schlüssel' }), (error) => {
      assert.ok(error instanceof RefusedError && error instanceof RevError);
      assert.deepEqual([error.status, error.code, error.requestId, error.idempotencyKey], [503, 'unknown', 'r', 'Schlüssel']);
      return true;
    });
    assert.equal(wire.keys, 0);
    assert.equal(Buffer.from(wire.sentKeys()[0], 'latin1').toString('utf8'), 'Schlüssel');
    assert.ok(wire.sent.length > 3 && wire.now <= 30_000);
  });

  test(`${name} is not repeated when it was refused`, async () => {
    for (const status of [302, 400, 401, 404, 409]) {
      const wire = scripted(refusal(status, 'c'));
      await assert.rejects(write(wire.rev), { status });
      assert.equal(wire.sent.length, 1);
    }
  });
}

test('an idempotency_key of the event is its key', async () => {
  const wire = scripted(answer(201, METERED));
  await wire.rev.meter({ ...EVENT, idempotency_key: 'own' });
  assert.deepEqual(wire.sentKeys(), ['own']);
});

test('quantities are sent with all their digits', async () => {
  const wire = scripted(answer(201, METERED));
  const decimal = { toFixed: () => '12.500001', toJSON: () => '12.500001' };
  await wire.rev.meter({ ...EVENT, tokens_cache_read: 7n, quantities: new Map([['seconds', decimal], ['images', 2n], ['pages', '0.1']]) });
  assert.equal(wire.sent[0].body, '{"agent_id":"a","action":"chat","tokens_cache_read":7,"quantities":{"seconds":12.500001,"images":2,"pages":"0.1"}}');
  await assert.rejects(wire.rev.meter({ ...EVENT, quantities: { seconds: NaN } }), { name: 'RangeError', message: 'quantities.seconds is NaN, which JSON cannot represent' });
});

test('pauses double, with jitter, above what Retry-After asks for', async () => {
  const wire = scripted(RESET, RESET, refusal(503, 'x', { 'Retry-After': '2' }),
    refusal(503, 'x', { 'Retry-After': 'Wed, 21 Oct 2026 07:28:03 GMT', Date: 'Wed, 21 Oct 2026 07:28:00 GMT' }), answer(201, METERED));
  await wire.rev.meter(EVENT);
  assert.deepEqual(wire.pauses, [75, 150, 2300, 3600]);
});

test('an endpoint is never made twice', async () => {
  for (const came of [RESET, refusal(500), refusal(503, 'unknown')]) {
    const wire = scripted(came);
    await assert.rejects(wire.rev.createWebhook({ url: 'https://x.example', events: ['*'] }), RevError);
    assert.equal(wire.sent.length, 1);
  }
  const wire = scripted(REFUSED, refusal(429), refusal(503, 'not_recorded'), answer(201, { id: 1, secret: 's' }));
  assert.equal((await wire.rev.createWebhook({ url: 'https://x.example', events: ['*'] })).secret, 's');
});

test('a deletion whose answer was lost has succeeded', async () => {
  assert.deepEqual(await scripted(RESET, refusal(404)).rev.deleteWebhook(7), { success: true, deleted_id: 7 });
  await assert.rejects(scripted(REFUSED, refusal(404)).rev.deleteWebhook(7), { status: 404 });
});

test('no answer at all is an error that says how, and under which key to repeat', async () => {
  await assert.rejects(scripted(RESET).rev.meter(EVENT), (error) =>
    error instanceof NoAnswerError && /ECONNRESET/.test(error.message) && error.idempotencyKey === 'made-1' && error.name === 'NoAnswerError');
  const wire = scripted(failing('DEPTH_ZERO_SELF_SIGNED_CERT'));
  await assert.rejects(wire.rev.meter(EVENT), NoAnswerError);
  assert.equal(wire.sent.length, 1);
});

test('a 2xx that is not JSON is an error', async () => {
  await assert.rejects(scripted(answer(200, '<html>')).rev.meter(EVENT), { status: 200, idempotencyKey: 'made-1' });
});

test('an accepted event has no price, and a replayed one says so', async () => {
  const accepted = await scripted(answer(202, { event_id: 1, price: null, status: 'accepted' })).rev.meter(EVENT);
  assert.deepEqual([accepted.status, accepted.price, accepted.replayed], ['accepted', null, false]);
  const replayed = await scripted(answer(201, METERED, { 'Idempotent-Replayed': 'true' })).rev.meter(EVENT);
  assert.deepEqual([replayed.status, replayed.replayed], ['priced', true]);
});

test('a conflict carries the current state', async () => {
  const outcome = { task_id: 't', status: 'succeeded', charge_cents: 500 };
  const wire = scripted(answer(409, { error: 'no', code: 'outcome_closed', outcome }));
  await assert.rejects(wire.rev.resolveOutcome('t', { success: false }), { code: 'outcome_closed', outcome });
});

test('dates become ISO text, also in metadata and queries', async () => {
  const wire = scripted(answer(201, METERED));
  const at = new Date('2027-01-02T03:04:05.678Z');
  await wire.rev.meter({ ...EVENT, expires_at: at, metadata: { reply_at: at } });
  assert.deepEqual(JSON.parse(wire.sent[0].body), { ...EVENT, expires_at: at.toISOString(), metadata: { reply_at: at.toISOString() } });
  await wire.rev.usage({ from: at, group_by: 'day', agent_id: undefined });
  assert.equal(wire.sent[1].url, 'http://rev/v1/usage?from=2027-01-02T03%3A04%3A05.678Z&group_by=day');
});

// decimal.js, big.js and bignumber.js by their shape: toFixed, and a toJSON that gives text
class Decimal {
  constructor(text) { this.text = text; }
  toFixed() { return this.text; }
  toJSON() { return this.text; }
}
class Point {
  constructor() { this.x = 1; }
}
const at = new Date('2027-01-02T03:04:05.678Z');
const itself = {};
itself.again = [itself];

test('what JSON can say is sent as it is, a Map as an object, a bigint and a decimal as a number', async () => {
  for (const [value, text] of [
    [new Map([['a', new Map([['b', 1]])]]), '{"a":{"b":1}}'],
    [new Map(), '{}'],
    [new Map([['__proto__', 1]]), '{"__proto__":1}'],
    [12345678901234567890n, '12345678901234567890'],
    [-1n, '-1'],
    [new Decimal('12345678901234567890.123456789012'), '12345678901234567890.123456789012'],
    [new Decimal('1e-9'), '1e-9'],
    [new Decimal('-0.10'), '-0.10'],
    [{ toJSON: () => '650000000000000000000012' }, '"650000000000000000000012"'],
    [{ toJSON: () => ({ n: 5n }) }, '{"n":5}'],
    [new URL('http://a/b'), '"http://a/b"'],
    [at, '"2027-01-02T03:04:05.678Z"'],
    [[1, [at], null], '[1,["2027-01-02T03:04:05.678Z"],null]'],
    [{ gone: undefined, kept: null }, '{"kept":null}'],
    [Object.assign(Object.create(null), { a: 1 }), '{"a":1}'],
    [new Point(), '{"x":1}'],
    ['0.10', '"0.10"'],
    ['\u2028"\n', JSON.stringify('\u2028"\n')],
    [0.1, '0.1'],
    [1e300, '1e+300'],
    [true, 'true'],
  ]) {
    const wire = scripted(answer(201, METERED));
    await wire.rev.meter({ ...EVENT, metadata: { x: value } });
    await wire.rev.meterBatch([{ ...EVENT, metadata: { x: value } }]);
    await wire.rev.resolveOutcome('t', { success: true, evidence: { x: value } });
    assert.equal(wire.sent[0].body, `{"agent_id":"a","action":"chat","metadata":{"x":${text}}}`);
    assert.equal(wire.sent[1].body, `{"events":[{"agent_id":"a","action":"chat","metadata":{"x":${text}}}]}`);
    assert.equal(wire.sent[2].body, `{"success":true,"evidence":{"x":${text}}}`);
  }
});

test('what JSON cannot say is refused before it is sent, with its place', async () => {
  for (const [value, type, told] of [
    [new Date('soon'), RangeError, 'metadata.x is an invalid date'],
    [NaN, RangeError, 'metadata.x is NaN, which JSON cannot represent'],
    [-Infinity, RangeError, 'metadata.x is -Infinity, which JSON cannot represent'],
    [[{ y: Infinity }], RangeError, 'metadata.x[0].y is Infinity, which JSON cannot represent'],
    [new Map([['y', NaN]]), RangeError, 'metadata.x.y is NaN, which JSON cannot represent'],
    [new Decimal('NaN'), RangeError, 'metadata.x is NaN, which is not a finite number'],
    [new Decimal('-Infinity'), RangeError, 'metadata.x is -Infinity, which is not a finite number'],
    [new Map([[1, 'one']]), TypeError, 'metadata.x has the key 1; keys must be strings'],
    [new Map([[Symbol('s'), 1]]), TypeError, 'metadata.x has the key Symbol(s); keys must be strings'],
    [new Set([1]), TypeError, 'metadata.x is of type Set, which cannot be sent as JSON'],
    [new Uint8Array(1), TypeError, 'metadata.x is of type Uint8Array, which cannot be sent as JSON'],
    [new ArrayBuffer(1), TypeError, 'metadata.x is of type ArrayBuffer, which cannot be sent as JSON'],
    [/x/, TypeError, 'metadata.x is of type RegExp, which cannot be sent as JSON'],
    [new Error('x'), TypeError, 'metadata.x is of type Error, which cannot be sent as JSON'],
    [Promise.resolve(1), TypeError, 'metadata.x is of type Promise, which cannot be sent as JSON'],
    [new WeakMap(), TypeError, 'metadata.x is of type WeakMap, which cannot be sent as JSON'],
    [new Number(5), TypeError, 'metadata.x is of type Number, which cannot be sent as JSON'],
    [() => 1, TypeError, 'metadata.x is a function, which cannot be sent as JSON'],
    [Symbol('s'), TypeError, 'metadata.x is a symbol, which cannot be sent as JSON'],
    [[undefined], TypeError, 'metadata.x[0] is undefined, which cannot be sent as JSON'],
  ]) {
    const wire = scripted(answer(201, METERED));
    const refused = (error) => error instanceof type && error.message === told;
    await assert.rejects(wire.rev.meter({ ...EVENT, metadata: { x: value } }), refused);
    await assert.rejects(wire.rev.resolveOutcome('t', { success: true, metadata: { x: value } }), refused);
    await assert.rejects(wire.rev.meterBatch([EVENT, { ...EVENT, metadata: { x: value } }]), (error) => error.message === `events[1].${told}`);
    assert.equal(wire.sent.length, 0);
  }
  const wire = scripted(answer(201, METERED));
  await assert.rejects(wire.rev.meter({ ...EVENT, metadata: itself }), /nested too deeply, or contains itself/);
  await assert.rejects(wire.rev.meter({ ...EVENT, tokens: NaN }), /^RangeError: tokens is NaN, which JSON cannot represent$/);
  await assert.rejects(wire.rev.meter([EVENT]), /the body is of type Array/);
  await assert.rejects(wire.rev.usage([]), /the query is of type Array/);
  assert.equal(wire.sent.length, 0);
});

test('an event and a query may be a Map, and tokens a bigint', async () => {
  const wire = scripted(answer(201, METERED));
  await wire.rev.meter(new Map(Object.entries({ ...EVENT, tokens: 5n, idempotency_key: 'own' })));
  assert.equal(wire.sent[0].body, '{"agent_id":"a","action":"chat","tokens":5,"idempotency_key":"own"}');
  assert.equal(wire.sent[0].headers['idempotency-key'], 'own');
  await wire.rev.usage(new Map([['customer_id', 'c']]));
  await wire.rev.webhooks(new Map([['customer_id', 'c']]));
  assert.deepEqual(wire.sent.slice(1).map(({ url }) => url), ['http://rev/v1/usage?customer_id=c', 'http://rev/v1/webhooks?limit=1000&customer_id=c']);
});

test('any JSON is written as JSON.stringify writes it', async () => {
  const random = (seed) => () => (seed = (seed * 16807) % 2147483647) / 2147483647;
  const chance = random(11);
  const any = (depth) => {
    const kind = Math.floor(chance() * (depth ? 8 : 6));
    if (kind < 6) return [null, true, '', 'ü"\\\u0007\ud83d', chance() * 1e9, -Math.floor(chance() * 1e15)][kind];
    const items = Array.from({ length: Math.floor(chance() * 4) }, () => any(depth - 1));
    return kind === 6 ? items : Object.fromEntries(items.map((item, i) => [`k"${i}`, item]));
  };
  for (let i = 0; i < 300; i++) {
    const wire = scripted(answer(201, METERED));
    const metadata = { x: any(4) };
    await wire.rev.meter({ ...EVENT, metadata });
    assert.equal(wire.sent[0].body, JSON.stringify({ ...EVENT, metadata }));
  }
});

test('any id is one segment of the path, and no id is an error', async () => {
  const wire = scripted(answer(200, {}));
  await wire.rev.resolveOutcome('a/b?c', { success: true });
  assert.equal(wire.sent[0].url, 'http://rev/v1/outcomes/a%2Fb%3Fc/resolve');
  await assert.rejects(wire.rev.resolveOutcome(undefined, { success: true }), TypeError);
});

test('a redirect is not followed, and the request is authorised', async () => {
  const wire = scripted(answer(200, {}));
  await wire.rev.pricing();
  assert.equal(wire.sent[0].redirect, 'manual');
  assert.equal(wire.sent[0].headers.authorization, 'Bearer rg_x');
  assert.equal(wire.sent[0].headers['idempotency-key'], undefined);
});

test('a key or URL that cannot be one is told at once', () => {
  for (const options of [{ apiKey: '' }, { apiKey: 'rg_x\n' }, { apiKey: 'rg_x', baseUrl: 'ftp://x' }, { apiKey: 'rg_x', baseUrl: 'nowhere' }]) {
    assert.throws(() => new Rev(options), TypeError);
  }
});

test('a webhook verifies with its own body and secret alone', () => {
  const secret = 'whsec_QUJD';
  const sign = (body) => createHmac('sha256', secret).update(body).digest('hex');
  verifyWebhook('{"ü":1}', sign('{"ü":1}'), secret);
  new Rev({ apiKey: 'rg_x' }).verifyWebhook(Buffer.from('{}'), sign('{}'), secret);
  for (const signature of [undefined, null, '', 'x', 'é'.repeat(64), sign('other')]) {
    assert.throws(() => verifyWebhook('{}', signature, secret), SignatureError);
  }
});
