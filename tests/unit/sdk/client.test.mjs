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

test('what JSON would turn into null is refused before it is sent', async () => {
  for (const wrong of [{ expires_at: new Date('soon') }, { tokens: NaN }, { metadata: { x: Infinity } }]) {
    const wire = scripted(answer(201, METERED));
    await assert.rejects(wire.rev.meter({ ...EVENT, ...wrong }), RangeError);
    assert.equal(wire.sent.length, 0);
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
