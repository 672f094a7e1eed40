// Plan-only requests for Hive Gateway with router-runtime: a request that
// carries the token is planned, its plan stays in the gateway's cache, and no
// subgraph is called. index.d.ts says how it is wired, and what an answer looks
// like.
import { AsyncLocalStorage } from 'node:async_hooks';
import { createHash, randomUUID, timingSafeEqual } from 'node:crypto';
import { useQueryPlan } from '@graphql-hive/router-runtime';
import { getOperationAST, GraphQLError } from 'graphql';
import { canaryOf, onlyTypename } from './operation.mjs';

export const HEADER = 'x-planwarm-token';
export const REFUSED = 'PLANWARM_REFUSED';
export const NOT_PLANNED = 'PLANWARM_NOT_PLANNED';

export function planwarm({ token } = {}) {
  const started = randomUUID();
  // Requests that are authorized to plan. Their contexts are not looked for:
  // other plugins may put a copy in the place of one.
  const planOnly = new WeakSet();
  // Whatever a plan-only request does, it does within this, even with a context
  // that has lost its request.
  const planning = new AsyncLocalStorage();
  const seen = new WeakSet(); // plans that were handed out before: seeing one again is a cache hit
  const parsed = new WeakMap(); // when a document was first seen: plans die with it
  let generation = 0;

  function note(context, document) {
    if (!parsed.has(document)) parsed.set(document, Date.now());
    const plan = planOf(context, document);
    if (!plan) return { plan };
    const hit = seen.has(plan);
    seen.add(plan);
    return { plan, hit };
  }

  function answer(schema, more) {
    return { extensions: { planwarm: { ...more, generation: `${started}.${generation}`, canary: canaryOf(schema) } } };
  }

  // planned runs the gateway's own execution up to where it would call a
  // subgraph. Whatever comes of it is dropped; that there is a plan is the proof.
  async function planned(executeFn, args) {
    const { document, schema, contextValue, operationName } = args;
    const operation = getOperationAST(document, operationName);
    if (!operation || operation.operation === 'subscription') return failure(NOT_PLANNED, 'the operation is not planned');
    if (onlyTypename(operation)) return answer(schema, { planned: false });
    const start = performance.now();
    try {
      // A required variable that is not there ends it right behind the plan.
      await planning.run(true, () => executeFn(args));
    } catch {
      // What the planner refuses leaves no plan behind.
    }
    const ms = performance.now() - start;
    const { plan, hit } = note(contextValue, document);
    if (!plan) return failure(NOT_PLANNED, 'the operation cannot be planned');
    return answer(schema, { planned: true, hit, ms: Math.round(ms * 1000) / 1000, ageMs: Date.now() - parsed.get(document) });
  }

  return {
    onSchemaChange() {
      generation++;
    },
    // Before anything is parsed, so that a request without the right token
    // costs nothing.
    onParams({ request, setResult }) {
      const given = request.headers.get(HEADER);
      if (given === null) return;
      if (authorized(token, given)) planOnly.add(request);
      else setResult(failure(REFUSED, 'the token is wrong, or none is configured', 403));
    },
    onExecute({ context, args, executeFn, setExecuteFn }) {
      if (planOnly.has(context?.request)) {
        setExecuteFn((own) => planned(executeFn, own));
        return undefined;
      }
      if (!parsed.has(args.document)) parsed.set(args.document, Date.now());
      return { onExecuteDone() { note(context, args.document); } };
    },
    onSubscribe({ args, setSubscribeFn }) {
      if (planOnly.has(args.contextValue?.request)) setSubscribeFn(() => failure(NOT_PLANNED, 'a subscription is not planned'));
    },
    // The one way to a subgraph. Data that is null ends a plan: its other steps
    // have nothing to ask for.
    onSubgraphExecute({ executionRequest, setExecutor }) {
      if (planning.getStore() || planOnly.has(executionRequest.context?.request)) setExecutor(() => ({ data: null }));
    },
  };
}

// planOf returns the plan that router-runtime made for a request.
function planOf(context, document) {
  let plan;
  useQueryPlan({ onQueryPlan(p) { plan = p; } })
    .onExecute({ context, args: { document } })
    .onExecuteDone({ result: {}, setResult() {} });
  return plan;
}

// authorized compares in constant time. Without a configured token nobody is.
function authorized(token, given) {
  const wanted = typeof token === 'function' ? token() : token;
  if (typeof wanted !== 'string' || wanted === '') return false;
  return timingSafeEqual(sha256(wanted), sha256(given));
}

function sha256(text) {
  return createHash('sha256').update(text).digest();
}

function failure(code, message, status = 422) {
  return { errors: [new GraphQLError(`planwarm: ${message}`, { extensions: { code, http: { status } } })] };
}
