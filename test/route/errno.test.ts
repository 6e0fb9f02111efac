import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { describe, test } from 'node:test';
import { errnoName, errnoOfText, errnoText } from '../../src/route/errno.ts';

const KNOWN = Array.from({ length: 133 }, (_, errno) => errno + 1).filter(
  (errno) => errnoName(errno) !== `E${errno}`,
);

describe('errno', () => {
  test("every name is the machine's own name of that number", () => {
    const names = constants.errno as Readonly<Record<string, number>>;
    assert.ok(KNOWN.length > 40);
    // The runtimes' own lists have gaps (EHOSTDOWN); what they do name must agree.
    const named = KNOWN.filter((errno) => names[errnoName(errno)] !== undefined);
    assert.ok(named.length > 35);
    for (const errno of named) assert.equal(names[errnoName(errno)], errno, errnoName(errno));
  });

  test('every text leads back to its number', () => {
    for (const errno of KNOWN) assert.equal(errnoOfText(errnoText(errno)), errno);
  });

  test('the texts that iproute2 prints for routes are known', () => {
    assert.equal(errnoOfText('File exists'), 17);
    assert.equal(errnoOfText('No such process'), 3);
    assert.equal(errnoOfText('Network is unreachable'), 101);
    assert.equal(errnoOfText('No route to host'), 113);
    assert.equal(errnoOfText('Operation not permitted'), 1);
  });

  test("musl's texts are known too", () => {
    assert.equal(errnoOfText('Network unreachable'), 101);
    assert.equal(errnoOfText('Host is unreachable'), 113);
    assert.equal(errnoOfText('Resource busy'), 16);
  });

  test('an unknown number keeps its number, an unknown text has none', () => {
    assert.equal(errnoName(4000), 'E4000');
    assert.equal(errnoOfText(errnoText(4000)), 4000);
    assert.equal(errnoOfText('Nexthop has invalid gateway.'), undefined);
    assert.equal(errnoOfText(''), undefined);
  });
});
