/** Operations as people type them: `ip route add ...`. The sentence of a plan, never given to a shell by us. */
import { type RouteOp, TABLE_MAIN } from './types.ts';

const VERBS = { add: 'add', append: 'append', delete: 'del' } as const;
/** The metric that IPv6 gives where none is named. */
const METRIC_V6 = 1024;

export function ipRouteText(
  { kind, route }: RouteOp,
  deviceName: (index: number) => string,
): string {
  const { prefix, gateway, device, metric, protocol, table, source } = route;
  const plain = prefix.address.family === 6 ? METRIC_V6 : 0;
  const words = [
    `ip route ${VERBS[kind]} ${prefix.text} via ${gateway.text} dev ${deviceName(device)} proto ${protocol}`,
    ...(metric === plain ? [] : [`metric ${metric}`]),
    ...(source === undefined ? [] : [`src ${source.text}`]),
    ...(table === TABLE_MAIN ? [] : [`table ${table}`]),
  ];
  return words.join(' ');
}
