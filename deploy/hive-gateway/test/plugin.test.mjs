import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HEADER, NOT_PLANNED, REFUSED } from '../index.mjs';
import { start, TOKEN } from './harness.mjs';

const SHELF = 'query Shelf { shelf { items { id name left } } }';
const ITEM = 'query Item($id: ID!, $filter: Filter!) { item(id: $id, filter: $filter) { name left } }';
const code = (r) => r.errors?.[0]?.extensions?.code;

test('a plan is made and kept, and no subgraph is called', async (t) => {
  const g = await start(t);
  const first = await g.warm(SHELF);
  assert.equal(first.status, 200, JSON.stringify(first));
  assert.equal('data' in first, false);
  assert.equal(first.errors, undefined);
  assert.equal(first.extensions.planwarm.planned, true);
  assert.equal(first.extensions.planwarm.hit, false);
  assert.ok(first.extensions.planwarm.ms > 0);
  const second = (await g.warm(SHELF)).extensions.planwarm;
  assert.equal(second.hit, true);
  assert.ok(second.ageMs >= first.extensions.planwarm.ageMs);
  assert.deepEqual(g.calls, []);
  assert.equal(g.planned.length, 1);
  await g.post({ query: SHELF });
  assert.equal(g.planned.length, 1, 'the first live request calls no planner');
});

test('the counter counts: a live request calls a subgraph', async (t) => {
  const g = await start(t);
  const live = await g.post({ query: SHELF });
  assert.deepEqual(live.data, { shelf: { items: [] } });
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
  assert.equal(await hit(SHELF.replace('{ id', '{  id')), false);
});

test('required variables are left out', async (t) => {
  const g = await start(t);
  for (const query of [ITEM, 'query One($id: ID!, $f: Filter = {kind: ALL, ids: [], range: {from: 1, to: 2, strict: true}, day: 1}) { item(id: $id, filter: $f) { name } }']) {
    const r = await g.warm(query);
    assert.equal(r.extensions?.planwarm.planned, true, JSON.stringify(r.errors));
  }
  const plans = g.planned.length;
  await g.post({ query: ITEM, variables: { id: '7', filter: { kind: 'OPEN', ids: ['1'], range: { from: 1, to: 2.5, strict: true }, day: '2024-01-01' } } });
  assert.equal(g.planned.length, plans);
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
  for (const [token, givens] of [[TOKEN, ['wrong', TOKEN.slice(1), '']], ['', ['', TOKEN]], [() => undefined, ['undefined', '']]]) {
    const g = await start(t, { token });
    for (const given of givens) {
      const r = await g.post({ query: 'mutation { clear }' }, { [HEADER]: given });
      assert.deepEqual([r.status, code(r), 'data' in r], [403, REFUSED, false], given);
    }
    assert.deepEqual([g.calls, g.planned], [[], []]);
  }
});

test('without the plugin the question for __typename calls no subgraph', async (t) => {
  const g = await start(t, { install: false });
  assert.deepEqual((await g.warm('query PlanwarmCanary { __typename }')).data, { __typename: 'Query' });
  assert.deepEqual(g.calls, []);
});

test('without the plugin a required variable that is left out ends it behind the plan', async (t) => {
  const g = await start(t, { install: false });
  for (const query of [ITEM, 'mutation($id: ID!, $to: String!) { rename(id: $id, to: $to) { left } }']) {
    const r = await g.warm(query);
    assert.equal('data' in r && r.data !== null, false, JSON.stringify(r));
    assert.ok(r.errors.length > 0);
  }
  assert.deepEqual(g.calls, []);
  assert.equal(g.planned.length, 2);
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
  await g.reload();
  const after = (await g.warm(SHELF)).extensions.planwarm;
  assert.notEqual(after.generation, before.generation);
  assert.equal(after.generation.split('.')[0], before.generation.split('.')[0], 'the same start');
  assert.equal(after.hit, false);
  assert.equal(g.planned.length, 2);
});

test('what cannot be planned is an error without data, text or token', async (t) => {
  const g = await start(t);
  const several = 'query A { total } query B { total }';
  for (const [query, more] of [['query { nope }'], ['query {'], [several], ['query A { total }', { operationName: 'B' }]]) {
    const r = await g.warm(query, more);
    assert.ok(r.errors?.length > 0, JSON.stringify(r));
    assert.equal('data' in r && r.data !== null, false);
    assert.equal(r.extensions?.planwarm, undefined);
    assert.equal(JSON.stringify(r).includes(TOKEN), false);
  }
  const r = await g.warm('query { __schema { queryType { name } } }');
  assert.equal(code(r), NOT_PLANNED);
  assert.deepEqual(g.calls, []);
});

test('live requests beside plan-only ones are executed', async (t) => {
  const g = await start(t);
  const pairs = await Promise.all(Array.from({ length: 20 }, (_, i) => (i % 2 ? g.warm(SHELF) : g.post({ query: SHELF }))));
  pairs.forEach((r, i) => assert.equal('data' in r, i % 2 === 0));
  assert.ok(g.calls.length > 0);
});

test('whatever other plugins do with the context, no subgraph is called', async (t) => {
  const copies = (change) => ({
    onExecute({ executeFn, setExecuteFn }) { setExecuteFn((args) => executeFn({ ...args, contextValue: change({ ...args.contextValue }) })); },
  });
  const others = [copies((c) => c), copies((c) => { delete c.request; return c; }), { onContextBuilding({ extendContext }) { extendContext({ user: 'somebody' }); } }];
  for (const other of others) {
    for (const where of ['before', 'after']) {
      const g = await start(t, { [where]: [other] });
      const warmed = await g.warm(SHELF);
      assert.equal('data' in warmed, false, JSON.stringify(warmed));
      await g.warm('mutation { clear }');
      assert.deepEqual(g.calls, []);
      await g.post({ query: SHELF });
      assert.equal(g.calls.length, 1, 'the counter counts');
    }
  }
});

test('each operation of a batch is planned, and those of a wrong token are refused', async (t) => {
  const g = await start(t, { batching: true });
  const batch = async (token) => {
    const { status, ...answers } = await g.post([{ query: SHELF }, { query: 'mutation { clear }' }], { [HEADER]: token });
    return Object.values(answers);
  };
  for (const r of await batch(TOKEN)) assert.equal(r.extensions.planwarm.planned, true);
  for (const r of await batch('wrong')) assert.equal(code(r), REFUSED);
  assert.deepEqual(g.calls, []);
});
