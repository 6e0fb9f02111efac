/**
 * Sends UDP to addresses (a JSON list on standard input) without pause until its input ends; says `sending` when the first
 * round is out, and at the end how many were sent and how many refused.
 */
import { createSocket } from 'node:dgram';
import { createInterface } from 'node:readline';

const IN_FLIGHT = 32;
const sockets = { 4: createSocket('udp4'), 6: createSocket('udp6') };
const refused: Record<string, number> = {};
let targets: readonly string[] = [];
let sent = 0;
let next = 0;
let flying = 0;
let answered = 0;
let ended = false;

function fill(): void {
  while (!ended && flying < IN_FLIGHT) {
    const target = targets[next % targets.length] ?? '';
    next += 1;
    flying += 1;
    const socket = sockets[target.includes(':') ? 6 : 4];
    socket.send('x', 9, target, (error) => {
      flying -= 1;
      if (error === null || error === undefined) sent += 1;
      else count('code' in error ? String(error.code) : error.message);
      answered += 1;
      if (answered === targets.length) console.log('sending');
    });
  }
  if (!ended) setImmediate(fill);
  else if (flying === 0) finish();
  else setImmediate(fill);
}

function count(code: string): void {
  refused[code] = (refused[code] ?? 0) + 1;
}

function finish(): void {
  console.log(JSON.stringify({ sent, refused }));
  process.exit();
}

// Some runtimes tell of a refused packet by an event as well.
for (const socket of Object.values(sockets)) socket.on('error', (error) => count(error.message));
const input = createInterface({ input: process.stdin });
input.once('line', (line) => {
  targets = JSON.parse(line);
  fill();
});
input.once('close', () => {
  ended = true;
});
