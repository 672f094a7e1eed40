// A real Apollo Gateway before subgraphs that only count what reaches them.
import { readFileSync } from 'node:fs';
import { ApolloServer } from '@apollo/server';
import { startStandaloneServer } from '@apollo/server/standalone';
import { ApolloGateway } from '@apollo/gateway';
import { HEADER, planwarm } from '../index.mjs';

process.env.APOLLO_TELEMETRY_DISABLED = 'true'; // a test calls nobody
const supergraph = readFileSync(new URL('./supergraph.graphql', import.meta.url), 'utf8');

export const TOKEN = 'a-token-of-the-tests';

export async function start(t, { token = TOKEN, wire = true, install = true, ...options } = {}) {
  const calls = []; // of subgraphs
  const plans = []; // as the gateway resolved them
  const hook = planwarm({ token, minPauseMs: 0, ...options });
  let update;
  const gateway = new ApolloGateway({
    async supergraphSdl(o) { update = o.update; return { supergraphSdl: supergraph }; },
    buildService: ({ name }) => ({ async process({ request }) { calls.push([name, request.query]); return { data: {} }; } }),
    ...(wire && { experimental_didResolveQueryPlan: (o) => { plans.push(o.queryPlan); hook.didResolveQueryPlan(o); } }),
  });
  const server = new ApolloServer({ gateway, plugins: install ? [hook.plugin(gateway)] : [], logger: { debug() {}, info() {}, warn() {}, error() {} } });
  const { url } = await startStandaloneServer(server, { listen: { port: 0, host: '127.0.0.1' } });
  t.after(() => server.stop());
  const post = async (body, headers = {}) => {
    const res = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) });
    return { status: res.status, headers: res.headers, ...(await res.json()) };
  };
  return {
    calls, plans, gateway, url, post,
    warm: (query, more = {}) => post({ query, ...more }, { [HEADER]: TOKEN }),
    reload: () => update(`${supergraph}\n# another revision ${Math.random()}\n`),
  };
}
