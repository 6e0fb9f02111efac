/** How many messages a send pays: the limit program with 64 to 1,024. */
import type { Bench, Context, Row } from '../support/bench.ts';
import { type LimitTimes, runLimit } from '../support/limit.ts';

const SIZES = [64, 128, 256, 512, 1024] as const;

export const chunk: Bench = {
  name: 'chunk',
  what: 'messages a send, 64 to 1,024, by the limit program (16,000 routes)',
  async run(context: Context): Promise<Row[]> {
    const { device } = context.net;
    const rounds = context.quick ? 5 : 25;
    const times = new Map(SIZES.map((size) => [size, [] as LimitTimes[]]));
    for (let round = 1; round <= rounds; round += 1) {
      context.progress(`round ${round} of ${rounds}`);
      for (const [size, found] of times)
        found.push(await runLimit({ device, routes: 16_000, metrics: 1024, chunk: size }));
    }
    const reference = times.get(256) ?? [];
    return SIZES.flatMap((size) =>
      (['addMs', 'deleteMs'] as const).map(
        (which): Row => ({
          what: `${which === 'addMs' ? 'add' : 'delete'}, ${size} a send`,
          unit: 'ms',
          runs: (times.get(size) ?? []).map((found) => found[which]),
          against: { what: '256', runs: reference.map((found) => found[which]) },
          proof: 'counted in the kernel',
        }),
      ),
    );
  },
};
