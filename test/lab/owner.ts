/** A program that owns a lab and waits to be killed: prints the pids that must go with it. */
import { dockerMissing, openLab, recipeA, startDocker, startEtcd } from '../../src/lab/index.ts';
import { standInSubnet } from './stand-in.ts';

const lab = await openLab(recipeA(2));
const [first] = lab.hosts;
if (!first) throw new Error('no host');
const etcd = await startEtcd(first);
const pids = [lab.nest.pid, ...lab.hosts.map((host) => host.pid), etcd.process.pid];
if (process.argv[2] === 'docker' && dockerMissing() === undefined) {
  await standInSubnet(lab.hosts);
  const engine = await startDocker(lab.nest, first);
  await engine.startContainer('c1');
  pids.push(engine.process.pid);
}
console.log(JSON.stringify({ name: lab.nest.name, pids }));
// The lab's own processes keep this one alive until it is killed.
