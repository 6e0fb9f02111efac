import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Links } from '../../../src/route/links.ts';

const ETH0 = { index: 2, name: 'eth0', up: true };

test('after a hint nothing is certain of a link until all are told, however slow the machine reads them', () => {
  const links = new Links();
  assert.equal(links.stateOf(2, 0), 'unknown');
  links.take([ETH0]);
  assert.equal(links.stateOf(2, 0), 'up');
  links.doubt(100);
  assert.equal(links.stateOf(2, 100), 'unsure');
  assert.equal(links.stateOf(2, 5100), 'unsure', 'reading them took five seconds');
  links.take([{ ...ETH0, up: false }]);
  assert.equal(links.stateOf(2, 5100), 'down');
  assert.equal(links.stateOf(3, 5100), 'gone');
});

test('a doubt that nobody settles ends, so that a failure is named at last', () => {
  const links = new Links();
  links.take([ETH0]);
  links.doubt(100);
  assert.equal(links.stateOf(2, 10_100), 'up');
});
