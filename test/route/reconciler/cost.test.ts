/** What work costs when there are many routes: compared with few, so that a scan is seen on any machine. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { prefixOf, v4 } from '../../../src/ip/index.ts';
import { Reconciler } from '../../../src/route/reconciler.ts';
import type { DesiredChange, ReconcilerOutput } from '../../../src/route/reconcilerTypes.ts';
import type { KernelRoute, Route } from '../../../src/route/types.ts';
import { growth, timed } from '../../support/growth.ts';

const FEW = 500;
const MANY = 16_000;
/** A scan of all would cost 32 times as much; caches that no longer hold everything cost something too. */
const NO_SCAN = { small: FEW, large: MANY, limit: 10 };
const OURS = 99;

function change(i: number, gateway = 0x0a000002 + i): DesiredChange {
  return {
    prefix: prefixOf(v4(0x0b000000 + i * 256), 24),
    route: { gateway: v4(gateway), device: 2 },
  };
}

function rowOf(route: Route): KernelRoute {
  return { ...route, source: undefined, type: 1, tos: 0, linkDown: false, more: false };
}

/** Answers everything a reconciler asks for, as a kernel in which all works. */
class Perfect {
  readonly core = new Reconciler({ protocol: OURS, table: 254, random: () => 0.5 });
  readonly rows = new Map<string, KernelRoute>();
  now = 0;
  ops = 0;

  send(input: Parameters<Reconciler['handle']>[0]): void {
    let outputs: ReconcilerOutput[] = this.core.handle(input, this.now);
    while (outputs.length > 0) {
      const [request] = outputs.filter((o) => o.type === 'dump' || o.type === 'apply');
      if (request === undefined) return;
      outputs = this.core.handle(this.#answer(request), this.now);
    }
  }

  #answer(request: ReconcilerOutput): Parameters<Reconciler['handle']>[0] {
    if (request.type === 'dump') {
      // A dump makes every object anew.
      const routes = [...this.rows.values()].map((row) => ({ ...row }));
      return { type: 'dumped', attempt: request.attempt, routes };
    }
    assert.ok(request.type === 'apply');
    for (const { kind, route } of request.ops) {
      this.ops += 1;
      if (kind === 'delete') this.rows.delete(`${route.prefix.text} ${route.gateway.text}`);
      else this.rows.set(`${route.prefix.text} ${route.gateway.text}`, rowOf(route));
    }
    return {
      type: 'applied',
      attempt: request.attempt,
      result: { kind: 'complete', failures: [] },
    };
  }
}

function perfect(count: number): Perfect {
  const kernel = new Perfect();
  const changes = Array.from({ length: count }, (_, i) => change(i));
  kernel.send({ type: 'desired', changes, complete: true });
  assert.equal(kernel.rows.size, count);
  return kernel;
}

/** Many runs of something that takes microseconds. */
const often = (work: (i: number) => void): number =>
  timed(() => {
    for (let i = 0; i < 400; i += 1) work(i);
  });

test(`one change among ${MANY} routes costs what one among ${FEW} does`, async () => {
  const kernels = new Map([FEW, MANY].map((count) => [count, perfect(count)]));
  let gateway = 0x0a800000;
  const factor = await growth((count) => {
    const kernel = kernels.get(count) ?? assert.fail();
    return often((i) => {
      gateway += 1;
      kernel.send({ type: 'desired', changes: [change(i, gateway)], complete: true });
    });
  }, NO_SCAN);
  assert.ok(factor < NO_SCAN.limit, `${factor.toFixed(1)} times`);
});

test('a dump of equal routes writes nothing, and costs no more for each than one of fewer', async () => {
  const factor = await growth(
    (count) => {
      const kernel = perfect(count);
      const { ops } = kernel;
      const ms = timed(() => {
        kernel.now += 1000;
        kernel.send({ type: 'hint', links: false, addresses: false, routes: true });
      });
      assert.equal(kernel.ops, ops, 'nothing to do, nothing written');
      return ms;
    },
    { small: 1000, large: 8000, limit: 32 },
  );
  assert.ok(factor < 32, `eight times the routes cost ${factor.toFixed(1)} times as much`);
});

test(`with ${MANY} peers refused and waiting, one input costs what it does with ${FEW}`, async () => {
  const cores = new Map([FEW, MANY].map((count) => [count, refused(count)]));
  const factor = await growth((count) => {
    const core = cores.get(count) ?? assert.fail();
    return often(() => {
      core.handle({ type: 'timer' }, 1);
      assert.ok((core.deadline ?? 0) > 1);
    });
  }, NO_SCAN);
  assert.ok(factor < NO_SCAN.limit, `${factor.toFixed(1)} times`);
});

/** A core whose every route the kernel has refused. */
function refused(count: number): Reconciler {
  const core = new Reconciler({ protocol: OURS, table: 254, random: () => 0.5 });
  const changes = Array.from({ length: count }, (_, i) => change(i));
  core.handle({ type: 'desired', changes, complete: true }, 0);
  const [apply] = core
    .handle({ type: 'dumped', attempt: 1, routes: [] }, 0)
    .filter((output) => output.type === 'apply');
  assert.ok(apply);
  const failures = apply.ops.map((_, index) => ({ index, errno: 1, code: 'EPERM', message: 'no' }));
  const result = { kind: 'complete', failures } as const;
  core.handle({ type: 'applied', attempt: apply.attempt, result }, 0);
  return core;
}
