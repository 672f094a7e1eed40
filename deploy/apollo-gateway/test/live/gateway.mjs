// The gateway of the live test: spans to planwarm, and a line in PLAN_LOG for
// each call of the planner, with spans or without, with what was planned.
import { appendFileSync, readFileSync } from 'node:fs';
import { BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';

const { SUPERGRAPH, OTLP_URL, PLAN_LOG, TOKEN_FILE } = process.env;
const exporter = new BatchSpanProcessor(new OTLPTraceExporter({ url: OTLP_URL }), { scheduledDelayMillis: 200 });
const provider = new NodeTracerProvider({ spanProcessors: [exporter] });
provider.register(); // before the gateway asks for its tracer

const { ApolloServer } = await import('@apollo/server');
const { startStandaloneServer } = await import('@apollo/server/standalone');
const { ApolloGateway } = await import('@apollo/gateway');
const { QueryPlanner } = await import('@apollo/query-planner');
const { planwarm } = await import('../../index.mjs');

const { buildQueryPlan } = QueryPlanner.prototype;
QueryPlanner.prototype.buildQueryPlan = function build(...given) {
  appendFileSync(PLAN_LOG, `${JSON.stringify(String(given[0]))}\n`); // the operation
  return buildQueryPlan.apply(this, given);
};

const hook = planwarm({ token: () => readFileSync(TOKEN_FILE, 'utf8').trim() });
const sdl = () => readFileSync(SUPERGRAPH, 'utf8');
let update;
process.on('SIGUSR2', () => update(sdl())); // the file has changed
const gateway = new ApolloGateway({
  async supergraphSdl(o) { update = o.update; return { supergraphSdl: sdl() }; },
  telemetry: { includeDocument: true },
  experimental_didResolveQueryPlan: hook.didResolveQueryPlan,
});
const server = new ApolloServer({ gateway, plugins: [hook.plugin(gateway)], stopOnTerminationSignals: false });
const { url } = await startStandaloneServer(server, { listen: { port: 0, host: '127.0.0.1' } });
console.log(JSON.stringify({ url }));

process.on('SIGTERM', async () => {
  await provider.shutdown().catch(() => {}); // planwarm may be gone already
  process.exit(0);
});
