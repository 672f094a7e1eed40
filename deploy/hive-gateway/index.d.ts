import type { GatewayPlugin } from '@graphql-hive/gateway';

/** The header that carries the token. A request without it is not touched. */
export declare const HEADER: 'x-planwarm-token';
/** extensions.code of an error: the token is wrong, or none is configured (HTTP 403). */
export declare const REFUSED: 'PLANWARM_REFUSED';
/** extensions.code of an error: the operation cannot be planned (HTTP 422). */
export declare const NOT_PLANNED: 'PLANWARM_NOT_PLANNED';

export interface Options {
  /**
   * The token that planwarm sends. A function is asked at each request, so the
   * token can be rotated. Without one every plan-only request is refused.
   */
  token?: string | (() => string | undefined);
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
  /** Milliseconds since the document was first seen: plans end with the parse cache's hour. */
  ageMs?: number;
  /** Changes with each start and each schema, after which the cache is empty. */
  generation: string;
  /** A query with a real field that needs a plan and no variable. */
  canary?: string;
}

/**
 * Makes the plugin. It goes first into the gateway's plugins, so that no other
 * one answers in its place. It needs unifiedGraphHandler of router-runtime: the
 * default handler has no planner, and everything is refused as not planned.
 */
export declare function planwarm(options?: Options): GatewayPlugin;
