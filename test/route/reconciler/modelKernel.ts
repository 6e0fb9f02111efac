import type { FakeKernel } from '../../support/fakeKernel.ts';

/** What a world needs of its kernel: the fake one has it, and the real one in a namespace (support/realKernel.ts). */
export type ModelKernel = Pick<
  FakeKernel,
  | 'addLink'
  | 'setLink'
  | 'links'
  | 'addAddress'
  | 'removeAddress'
  | 'foreignAdd'
  | 'foreignDelete'
  | 'routes'
  | 'dumpNow'
  | 'applyNow'
  | 'driver'
  | 'step'
  | 'failures'
  | 'toString'
>;
