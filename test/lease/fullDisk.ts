/** Saves a view that fits on a small disk, then one that does not, and prints what is there afterwards. */
import { readdir } from 'node:fs/promises';
import { type DiskView, loadView, saveView } from '../../src/lease/index.ts';

const dir = process.argv[2] ?? '';
const view: DiskView = {
  ...{ etcdPrefix: '/net', clusterId: '7', revision: 1, witnesses: [], whole: true },
  ...{ entries: [], config: undefined, departed: [], confirmedAt: undefined },
  ...{ own: undefined, holding: false },
};
await saveView(dir, view);
const departed = ['x'.repeat(40_000)];
const refused = await saveView(dir, { ...view, revision: 2, departed }).then(
  () => 'saved',
  (error: unknown) => String(error),
);
const loaded = await loadView(dir, '/net');
const revision = loaded.kind === 'view' ? loaded.view.revision : undefined;
console.log(JSON.stringify({ refused, names: await readdir(dir), revision }));
