// A real Hive Gateway before subgraphs that only count what reaches them.
import { readFileSync } from 'node:fs';
import { createGatewayRuntime } from '@graphql-hive/gateway';
import { QueryPlanner } from '@graphql-hive/router-query-planner';
import { unifiedGraphHandler } from '@graphql-hive/router-runtime';
import { HEADER, planwarm } from '../index.mjs';

const supergraph = readFileSync(new URL('./supergraph.graphql', import.meta.url), 'utf8');
const planAsync = QueryPlanner.prototype.planAsync;

export const TOKEN = 'a-token-of-the-tests';

export async function start(t, { token = TOKEN, install = true, before = [], after = [], ...options } = {}) {
  const calls = []; // of subgraphs
  const planned = []; // texts, as the planner got them
  let revision = 0;
  QueryPlanner.prototype.planAsync = function (query, ...rest) {
    planned.push(query);
    return planAsync.call(this, query, ...rest);
  };
  const runtime = createGatewayRuntime({
    supergraph: () => `${supergraph}\n# revision ${revision}\n`,
    unifiedGraphHandler, logging: false, maskedErrors: false, pollingInterval: 0,
    plugins: () => [...before, ...(install ? [planwarm({ token })] : []), ...after], ...options,
    fetchAPI: {
      fetch: async (url, init) => { calls.push([String(url), init?.body]); return Response.json({ data: { shelf: { items: [] }, item: null } }); },
    },
  });
  t.after(async () => {
    QueryPlanner.prototype.planAsync = planAsync;
    await runtime[Symbol.asyncDispose]();
  });
  const post = async (body, headers = {}) => {
    const res = await runtime.fetch('http://gateway.invalid/graphql', {
      method: 'POST', headers: { 'content-type': 'application/json', accept: 'application/json', ...headers }, body: JSON.stringify(body),
    });
    return { status: res.status, ...(await res.json()) };
  };
  return {
    calls, planned, post,
    warm: (query, more = {}) => post({ query, ...more }, { [HEADER]: TOKEN }),
    reload: () => { revision++; return runtime.invalidateUnifiedGraph(); },
  };
}
