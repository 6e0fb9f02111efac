/**
 * Whether a text is all that there was. Bytes that are no UTF-8 are read as U+FFFD: of such a text nobody can tell the bytes,
 * and two different keys of etcd may be read as the same one.
 */
export const isExact = (text: string): boolean => !text.includes('\uFFFD');
