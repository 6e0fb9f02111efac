/** This host cannot run an agent until somebody changes something; the sentence says what. */
export class HostUnusable extends Error {
  override readonly name = 'HostUnusable';
}
