/** The fake kernel's neighbour table behaves as the real one's. */
import { test } from 'node:test';
import { fakeNeighbourWorld, neighbourSuite } from './conformance.ts';

neighbourSuite((name, body) => void test(`fake: ${name}`, body), fakeNeighbourWorld);
