/** Agents on real hosts with a table of their own, and with an uplink that goes down. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { needs } from '../support/needs.ts';
import { until } from '../support/until.ts';
import { nth, withRecipeA } from './recipe.ts';

const skip = needs('root', 'ip', 'unshare', 'setpriv', 'nsenter', 'etcd') ?? false;
const DRIVERS = ['native', 'ip'] as const;

describe('an agent', { skip }, () => {
  for (const driver of DRIVERS) {
    const skipDriver = driver === 'native' && (needs('native') ?? false);
    const options = { skip: skipDriver, timeout: 180_000 };

    test(
      `driver ${driver}: routes in the table it is given, and leaves main alone`,
      options,
      async () => {
        const args = [`--route-driver=${driver}`, '--route-table=1000', '--route-metrics=spread'];
        await withRecipeA(2, { agent: { args } }, async ({ hosts }) => {
          const host = nth(hosts, 0);
          const show = (table: string) =>
            host.must(['ip', 'route', 'show', 'table', table, 'proto', '104']);
          assert.match(
            await show('1000'),
            /^10\.100\.\d+\.0\/24 via 10\.10\.10\.102 dev eth0 metric \d+ *\n$/,
          );
          assert.equal(await show('main'), '');
        });
      },
    );

    test(
      `driver ${driver}: names the uplink that is down, and has its routes back when it is up`,
      options,
      async () => {
        const agent = { args: [`--route-driver=${driver}`] };
        await withRecipeA(2, { agent }, async ({ hosts, agents }) => {
          const host = nth(hosts, 1);
          const show = () => host.must(['ip', 'route', 'show', 'proto', '104']);
          const before = await show();
          await host.must(['ip', 'link', 'set', 'eth0', 'down']);
          await nth(agents, 1).waitFor(
            /peer \S+ via 10\.10\.10\.101 is link-down: eth0 is down\.$/,
          );
          await host.must(['ip', 'link', 'set', 'eth0', 'up']);
          await until('the route is back', async () => (await show()) === before);
          const said = nth(agents, 1).lines.map(({ text }) => text);
          assert.deepEqual(
            said.filter((line) => line.includes('is off-link')),
            [],
            'the errno alone is not believed',
          );
        });
      },
    );
  }
});
