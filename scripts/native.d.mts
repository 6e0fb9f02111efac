export type BuildResult =
  | { readonly ok: true; readonly built: boolean; readonly file: string }
  | { readonly ok: false; readonly reason: string; readonly cure: string };

export function buildNative(options?: {
  readonly log?: (sentence: string) => void;
  /** The folder native/; a test gives its own. */
  readonly root?: string;
  /** The cargo to use; default $CARGO, else the one in PATH. */
  readonly cargo?: string;
}): Promise<BuildResult>;
