// Plan-only requests for Apollo Gateway: a request that carries the token is
// planned, its plan stays in the gateway's cache, and nothing is executed.
// index.d.ts says how it is wired, and what an answer looks like.
import { createHash, randomUUID, timingSafeEqual } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { HeaderMap } from '@apollo/server';
import { GraphQLError, Kind } from 'graphql';
import { canaryOf, onlyTypename, placeholders } from './operation.mjs';
import { untraced } from './tracing.mjs';

export const HEADER = 'x-planwarm-token';
export const REFUSED = 'PLANWARM_REFUSED';
export const NOT_PLANNED = 'PLANWARM_NOT_PLANNED';
export const BUSY = 'PLANWARM_BUSY';

// Planning blocks the event loop. After each plan live requests get at least
// the time that it took, within these bounds.
const MIN_PAUSE_MS = 5;
const MAX_PAUSE_MS = 1000;

// Thrown by our half of experimental_didResolveQueryPlan: the plan is stored by
// then, and executing it is the next thing that the gateway would do.
class Planned extends Error {
  constructor(queryPlan) {
    super('planwarm: planned, not executed');
    this.queryPlan = queryPlan;
  }
}

export function planwarm({ token, maxWaiting = 16, minPauseMs = MIN_PAUSE_MS } = {}) {
  const started = randomUUID();
  // Contexts that this plugin made for itself. A live request can never be one
  // of them, whatever it sends.
  const ours = new WeakSet();
  // Plans that were handed out before: seeing one again is a cache hit.
  const seen = new WeakSet();
  const turn = turns(maxWaiting, minPauseMs);
  let generation = 0;
  let wiredFor = -1; // the generation for which the wiring was proven

  function didResolveQueryPlan({ queryPlan, requestContext }) {
    if (ours.has(requestContext)) throw new Planned(queryPlan);
    seen.add(queryPlan);
  }

  // resolve runs the gateway's executor up to the plan. Only our own error is a
  // proof; anything that the executor returns came from before the plan.
  async function resolve(gateway, context) {
    ours.add(context);
    try {
      const result = await untraced(() => gateway.executor(context));
      return { error: result?.errors?.[0] ?? new Error('the gateway did not stop at the plan') };
    } catch (error) {
      return error instanceof Planned ? { queryPlan: error.queryPlan } : { error };
    }
  }

  // wired proves that the gateway calls didResolveQueryPlan, with an operation
  // that calls no subgraph even when it does not.
  async function wired(gateway, rc) {
    if (wiredFor === generation) return true;
    const probed = generation;
    const { queryPlan } = await resolve(gateway, contextOf(rc, PROBE));
    if (queryPlan) wiredFor = probed;
    return queryPlan !== undefined;
  }

  async function plan(gateway, rc) {
    const context = contextOf(rc, {
      query: rc.source, hash: rc.queryHash, document: rc.document, operation: rc.operation,
      operationName: rc.request.operationName,
      variables: placeholders(rc.schema, rc.operation, rc.request.variables),
    });
    const start = performance.now();
    const { queryPlan, error } = await resolve(gateway, context);
    const ms = performance.now() - start;
    if (error) return { ms, error };
    const hit = seen.has(queryPlan);
    seen.add(queryPlan);
    return { ms, hit };
  }

  function state(rc, more) {
    return { ...more, generation: `${started}.${generation}`, canary: canaryOf(rc.schema) };
  }

  async function answer(gateway, rc) {
    if (rc.operation.operation === 'subscription') return failure(422, NOT_PLANNED, 'a subscription is not planned');
    if (!(await wired(gateway, rc))) {
      return failure(501, NOT_PLANNED, 'experimental_didResolveQueryPlan of the gateway is not wired to planwarm');
    }
    if (onlyTypename(rc.operation)) return body(200, { extensions: { planwarm: state(rc, { planned: false }) } });
    const done = await turn(() => plan(gateway, rc), (r) => (r.hit ? 0 : r.ms));
    if (!done) return failure(503, BUSY, 'too many operations wait for their turn', { 'retry-after': '1' });
    if (done.error) return failure(422, NOT_PLANNED, 'the operation cannot be planned');
    return body(200, { extensions: { planwarm: state(rc, { planned: true, hit: done.hit, ms: round(done.ms) }) } });
  }

  function plugin(gateway) {
    return {
      async serverWillStart() {
        return { schemaDidLoadOrUpdate() { generation++; } };
      },
      async requestDidStart({ request }) {
        const given = request.http?.headers.get(HEADER);
        if (given === undefined) return undefined;
        return {
          async didResolveOperation() {
            if (!authorized(token, given)) {
              throw new GraphQLError('planwarm: the token is wrong, or none is configured', { extensions: { code: REFUSED, http: { status: 403 } } });
            }
          },
          async responseForOperation(rc) {
            if (!rc.operation) return failure(422, NOT_PLANNED, 'the name selects no operation');
            return answer(gateway, rc);
          },
        };
      },
    };
  }

  return { plugin, didResolveQueryPlan };
}

// The probe's document is not in the request, so it is made by hand.
const PROBE = (() => {
  const query = '{__typename}';
  const operation = {
    kind: Kind.OPERATION_DEFINITION, operation: 'query', variableDefinitions: [], directives: [],
    selectionSet: { kind: Kind.SELECTION_SET, selections: [{ kind: Kind.FIELD, name: { kind: Kind.NAME, value: '__typename' }, arguments: [], directives: [] }] },
  };
  return { query, hash: sha256(query).toString('hex'), document: { kind: Kind.DOCUMENT, definitions: [operation] }, operation, variables: {} };
})();

// contextOf makes what the gateway's executor takes. It has no headers: nothing
// of the token can reach anything behind the gateway.
function contextOf(rc, o) {
  return {
    request: { query: o.query, operationName: o.operationName, variables: o.variables },
    response: { http: { headers: new Map() } },
    document: o.document, source: o.query, queryHash: o.hash, operation: o.operation,
    operationName: o.operation.name?.value ?? null,
    schema: rc.schema, schemaHash: '', context: {}, cache: rc.cache, logger: rc.logger,
    metrics: {}, debug: false, overallCachePolicy: rc.overallCachePolicy, requestIsBatched: false,
  };
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

// turns runs one piece of work at a time and leaves a pause after each, as long
// as pauseOf says. It returns undefined, without running it, for work that
// would have to wait behind too much other work.
function turns(maxWaiting, minPauseMs) {
  let tail = Promise.resolve();
  let waiting = 0;
  return (work, pauseOf) => {
    if (waiting >= maxWaiting) return Promise.resolve(undefined);
    waiting++;
    const mine = tail.then(work);
    tail = mine.then(
      (r) => sleep(Math.min(Math.max(pauseOf(r), minPauseMs), MAX_PAUSE_MS)),
      () => sleep(minPauseMs),
    ).finally(() => { waiting--; });
    return mine;
  };
}

function body(status, singleResult, headers = {}) {
  return { http: { status, headers: new HeaderMap(Object.entries(headers)) }, body: { kind: 'single', singleResult } };
}

function failure(status, code, message, headers) {
  return body(status, { errors: [{ message: `planwarm: ${message}`, extensions: { code } }] }, headers);
}

function round(ms) {
  return Math.round(ms * 1000) / 1000;
}
