import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BUSY, HEADER, NOT_PLANNED, REFUSED } from '../index.mjs';
import { start, TOKEN } from './harness.mjs';

const SHELF = 'query Shelf { shelf { items { id name left } } }';
const ITEM = 'query Item($id: ID!, $filter: Filter!) { item(id: $id, filter: $filter) { name left } }';
const code = (r) => r.errors?.[0]?.extensions?.code;

test('a plan is made and kept, and no subgraph is called', async (t) => {
  const g = await start(t);
  const first = await g.warm(SHELF);
  assert.equal(first.status, 200);
  assert.equal('data' in first, false);
  assert.equal(first.errors, undefined);
  assert.equal(first.extensions.planwarm.planned, true);
  assert.equal(first.extensions.planwarm.hit, false);
  assert.ok(first.extensions.planwarm.ms > 0);
  assert.equal((await g.warm(SHELF)).extensions.planwarm.hit, true);
  assert.deepEqual(g.calls, []);

  const warmed = g.plans.at(-1);
  await g.post({ query: SHELF });
  assert.equal(g.plans.at(-1), warmed, 'the first live request takes the plan that was made before');
});

test('the counter counts: a live request calls a subgraph', async (t) => {
  const g = await start(t);
  const live = await g.post({ query: SHELF });
  assert.ok('data' in live);
  assert.equal(live.extensions, undefined);
  assert.equal(g.calls.length, 1);
  assert.equal((await g.warm(SHELF)).extensions.planwarm.hit, true, 'a live plan is a hit');
  assert.equal(g.calls.length, 1);
});

test('the key is the exact text and the name that was sent', async (t) => {
  const g = await start(t);
  const hit = async (query, more) => (await g.warm(query, more)).extensions.planwarm.hit;
  assert.equal(await hit(SHELF), false);
  assert.equal(await hit(SHELF, { operationName: 'Shelf' }), false);
  assert.equal(await hit(SHELF, { operationName: 'Shelf' }), true);
  assert.equal(await hit(`${SHELF} `), false);
});

test('variables need not be sent, and their values do not matter', async (t) => {
  const g = await start(t);
  const r = await g.warm(ITEM);
  assert.equal(r.extensions?.planwarm.planned, true, JSON.stringify(r.errors));
  const warmed = g.plans.at(-1);
  await g.post({ query: ITEM, variables: { id: '7', filter: { kind: 'OPEN', ids: ['1'], range: { from: 1, to: 2.5, strict: true }, day: '2024-01-01' } } });
  assert.equal(g.plans.at(-1), warmed);
  assert.equal(g.calls.length, 1);
});

test('mutations are planned and not executed', async (t) => {
  const g = await start(t);
  for (const query of ['mutation { clear }', 'mutation($id: ID!, $to: String!) { rename(id: $id, to: $to) { left } }']) {
    assert.equal((await g.warm(query)).extensions.planwarm.planned, true);
  }
  assert.deepEqual(g.calls, []);
});

test('a wrong token, an empty one, and no configured token are refused', async (t) => {
  const g = await start(t);
  for (const given of ['wrong', TOKEN.slice(1), '']) {
    const r = await g.post({ query: 'mutation { clear }' }, { [HEADER]: given });
    assert.deepEqual([r.status, code(r), 'data' in r], [403, REFUSED, false], given);
  }
  for (const token of ['', () => undefined]) {
    const open = await start(t, { token });
    for (const given of ['', 'undefined', TOKEN]) {
      const r = await open.post({ query: SHELF }, { [HEADER]: given });
      assert.deepEqual([r.status, code(r)], [403, REFUSED]);
    }
    assert.deepEqual(open.calls, []);
  }
  assert.deepEqual(g.calls, []);
});

test('a gateway that does not call the hook is refused before anything is executed', async (t) => {
  const g = await start(t, { wire: false });
  const r = await g.warm('mutation { clear }');
  assert.deepEqual([r.status, code(r)], [501, NOT_PLANNED]);
  assert.deepEqual(g.calls, []);
});

test('without the plugin the question for __typename calls no subgraph', async (t) => {
  const g = await start(t, { install: false });
  assert.deepEqual((await g.warm('query PlanwarmCanary { __typename }')).data, { __typename: 'Query' });
  assert.deepEqual(g.calls, []);
});

test('the state has a canary with a real field', async (t) => {
  const g = await start(t);
  const { planned, canary } = (await g.warm('query PlanwarmCanary { __typename }')).extensions.planwarm;
  assert.equal(planned, false);
  assert.equal(canary, 'query PlanwarmCanary{shelf{__typename}}');
  assert.equal((await g.warm(canary)).extensions.planwarm.planned, true);
  assert.deepEqual(g.calls, []);
});

test('a new schema is a new generation with an empty cache', async (t) => {
  const g = await start(t);
  const before = (await g.warm(SHELF)).extensions.planwarm;
  g.reload();
  const after = (await g.warm(SHELF)).extensions.planwarm;
  assert.notEqual(after.generation, before.generation);
  assert.equal(after.generation.split('.')[0], before.generation.split('.')[0], 'the same start');
  assert.equal(after.hit, false);
  assert.notEqual((await start(t).then((other) => other.warm(SHELF))).extensions.planwarm.generation.split('.')[0], before.generation.split('.')[0]);
});

test('what cannot be planned is an error without data, text or token', async (t) => {
  const g = await start(t);
  const several = 'query A { total } query B { total }';
  for (const [query, more] of [['query { nope }'], ['query {'], [several], [several, { operationName: 'C' }], ['query A { total }', { operationName: 'B' }]]) {
    const r = await g.warm(query, more);
    assert.ok(r.status >= 400 && r.status < 500, `${query}: ${r.status}`);
    assert.ok(r.errors.length > 0);
    assert.equal('data' in r, false);
    assert.equal(JSON.stringify(r).includes(TOKEN), false);
  }
  assert.deepEqual(g.calls, []);
});

test('one at a time: the queue is bounded, and what does not fit is told to come back', async (t) => {
  const g = await start(t, { maxWaiting: 2, minPauseMs: 20 });
  const answers = await Promise.all(Array.from({ length: 6 }, (_, i) => g.warm(`query Q${i} { shelf { items { name left } } }`)));
  const busy = answers.filter((r) => code(r) === BUSY);
  assert.ok(busy.length > 0 && answers.length - busy.length >= 2, `${busy.length} busy`);
  for (const r of busy) assert.deepEqual([r.status, r.headers.get('retry-after')], [503, '1']);
  assert.deepEqual(g.calls, []);
});

test('live requests beside plan-only ones are executed', async (t) => {
  const g = await start(t);
  const pairs = await Promise.all(Array.from({ length: 20 }, (_, i) => (i % 2 ? g.warm(SHELF) : g.post({ query: SHELF }))));
  pairs.forEach((r, i) => assert.equal('data' in r, i % 2 === 0));
  assert.equal(g.calls.length, 10);
});
