// The gateway of the live test: a line in PLAN_LOG for each call of the planner,
// which has no span of its own, with what was planned.
import { appendFileSync, readFileSync } from 'node:fs';
import { defineConfig } from '@graphql-hive/gateway';
import { QueryPlanner } from '@graphql-hive/router-query-planner';
import { unifiedGraphHandler } from '@graphql-hive/router-runtime';
import { planwarm } from '../../index.mjs';

const { SUPERGRAPH, PLAN_LOG, TOKEN_FILE } = process.env;
const planAsync = QueryPlanner.prototype.planAsync;
QueryPlanner.prototype.planAsync = function (...args) {
  appendFileSync(PLAN_LOG, `${JSON.stringify(args.slice(0, 2))}\n`); // text and name
  return planAsync.apply(this, args);
};

export const gatewayConfig = defineConfig({
  supergraph: () => readFileSync(SUPERGRAPH, 'utf8'), unifiedGraphHandler, pollingInterval: 10_000,
  plugins: () => [planwarm({ token: () => readFileSync(TOKEN_FILE, 'utf8').trim() })],
});
