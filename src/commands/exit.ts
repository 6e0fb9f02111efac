/** Exit codes of every command, as `hostgw --help` documents them. */
export const EXIT = {
  /** Done, or ended by SIGTERM or SIGINT. */
  ok: 0,
  /** Something failed that should not have. */
  failed: 1,
  /** The command line or the environment is wrong. */
  usage: 2,
  /** This host cannot run it: rights, an interface, a tool or the route driver is missing. */
  host: 3,
  /** Another agent runs here already. */
  running: 4,
  /** No agent runs here. */
  notRunning: 5,
} as const;
