/** What a worker is asked and answers, one JSON line each. */

/** Every count of routes has as many gateways; metrics are spread over `metrics`. */
export type Command =
  | { readonly do: 'open'; readonly driver: 'native' | 'ip'; readonly device: number }
  /** One `driver.apply`: milliseconds until it resolves. */
  | {
      readonly do: 'apply';
      readonly kind: 'add' | 'delete';
      readonly routes: number;
      readonly metrics: number;
    }
  | { readonly do: 'dump' }
  /** Starts a reconciler with its listener; answers when it knows the links and has seen that there is nothing. */
  | { readonly do: 'start'; readonly metrics: number }
  /** Milliseconds from the desired set to the last peer's word that it is installed. */
  | { readonly do: 'install'; readonly routes: number }
  /** Gives one peer another gateway, `times` different ones in turn: milliseconds until the driver has added the route. */
  | { readonly do: 'change'; readonly times: number }
  /** Asks for a dump when all is as it should be: milliseconds until the reconciler has settled again. */
  | { readonly do: 'resync'; readonly times: number }
  /** Answers once the reconciler has settled with every wanted route there. */
  | { readonly do: 'settled' }
  | { readonly do: 'counts' }
  /** Ends the reconciler; its routes stay. */
  | { readonly do: 'stop' };

/** `ms` of each run; `counts` what there was. */
export interface Reply {
  readonly ms: readonly number[];
  readonly counts: Readonly<Record<string, number>>;
}

export type Answer = Reply | { readonly error: string };
