/** The routing table of a VRF device: where a VRF's connected prefixes and default route are, and so ours must go. */
import * as v from 'valibot';
import { run } from '../core/index.ts';

const VrfLink = v.object({
  linkinfo: v.object({
    info_kind: v.literal('vrf'),
    info_data: v.object({ table: v.number() }),
  }),
});

/** Rejects with one sentence where there is no such device, or it is no VRF. */
export async function tableOfVrf(name: string, runProgram: typeof run = run): Promise<number> {
  const { code, stdout, stderr } = await runProgram('ip', [
    '-j',
    '-d',
    'link',
    'show',
    'dev',
    name,
  ]);
  if (code !== 0) {
    const said = stderr.trim().split('\n')[0] || `ip ended with ${code}`;
    throw new Error(`there is no VRF device ${name} (${said})`);
  }
  const list: unknown = JSON.parse(stdout);
  const link = v.safeParse(VrfLink, Array.isArray(list) ? list[0] : undefined);
  if (!link.success) throw new Error(`${name} is no VRF device, so it has no routing table`);
  return link.output.linkinfo.info_data.table;
}
