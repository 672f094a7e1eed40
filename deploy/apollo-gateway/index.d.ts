import type { ApolloServerPlugin, BaseContext } from '@apollo/server';
import type { ApolloGateway, GatewayConfig } from '@apollo/gateway';

/** The header that carries the token. A request without it is not touched. */
export declare const HEADER: 'x-planwarm-token';
/** extensions.code of an error: the token is wrong, or none is configured (HTTP 403). */
export declare const REFUSED: 'PLANWARM_REFUSED';
/** extensions.code of an error: the operation cannot be planned (422), or the hook is not wired (501). */
export declare const NOT_PLANNED: 'PLANWARM_NOT_PLANNED';
/** extensions.code of an error: too many operations wait for their turn (503 with Retry-After). */
export declare const BUSY: 'PLANWARM_BUSY';

export interface Options {
  /**
   * The token that planwarm sends. A function is asked at each request, so the
   * token can be rotated. Without one every plan-only request is refused.
   */
  token?: string | (() => string | undefined);
  /** Operations that may be under way or wait for their turn; default 16. */
  maxWaiting?: number;
  /** Shortest pause after each operation, in ms; default 5. */
  minPauseMs?: number;
}

/**
 * What stands in extensions.planwarm of an answer, which never has data. A
 * query for __typename alone is answered with planned: false and is not planned.
 */
export interface Answer {
  planned: boolean;
  /** Whether the plan was in the cache before; only when planned. */
  hit?: boolean;
  /** Milliseconds until the plan was there; only when planned. */
  ms?: number;
  /** Changes with each start and each schema, after which the cache is empty. */
  generation: string;
  /** A query with a real field that needs a plan and no variable. */
  canary?: string;
}

export interface Hook {
  /** Goes into the gateway as experimental_didResolveQueryPlan. Call it first in a function of your own. */
  didResolveQueryPlan: NonNullable<GatewayConfig['experimental_didResolveQueryPlan']>;
  /** Goes first into the server's plugins. */
  plugin(gateway: ApolloGateway): ApolloServerPlugin<BaseContext>;
}

/** Makes the two halves of the hook. Nothing is planned unless both are wired. */
export declare function planwarm(options?: Options): Hook;
