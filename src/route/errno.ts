/**
 * Linux errno numbers, their names and their usual texts: what netlink answers in numbers and `ip` in words.
 * Numbers are those of every architecture but alpha, mips, parisc and sparc (asm-generic/errno.h).
 */

const ERRORS: readonly (readonly [errno: number, name: string, text: string])[] = [
  [1, 'EPERM', 'Operation not permitted'],
  [2, 'ENOENT', 'No such file or directory'],
  [3, 'ESRCH', 'No such process'],
  [4, 'EINTR', 'Interrupted system call'],
  [5, 'EIO', 'Input/output error'],
  [6, 'ENXIO', 'No such device or address'],
  [7, 'E2BIG', 'Argument list too long'],
  [9, 'EBADF', 'Bad file descriptor'],
  [11, 'EAGAIN', 'Resource temporarily unavailable'],
  [12, 'ENOMEM', 'Cannot allocate memory'],
  [13, 'EACCES', 'Permission denied'],
  [14, 'EFAULT', 'Bad address'],
  [16, 'EBUSY', 'Device or resource busy'],
  [17, 'EEXIST', 'File exists'],
  [18, 'EXDEV', 'Invalid cross-device link'],
  [19, 'ENODEV', 'No such device'],
  [22, 'EINVAL', 'Invalid argument'],
  [23, 'ENFILE', 'Too many open files in system'],
  [24, 'EMFILE', 'Too many open files'],
  [27, 'EFBIG', 'File too large'],
  [28, 'ENOSPC', 'No space left on device'],
  [30, 'EROFS', 'Read-only file system'],
  [32, 'EPIPE', 'Broken pipe'],
  [33, 'EDOM', 'Numerical argument out of domain'],
  [34, 'ERANGE', 'Numerical result out of range'],
  [38, 'ENOSYS', 'Function not implemented'],
  [61, 'ENODATA', 'No data available'],
  [62, 'ETIME', 'Timer expired'],
  [71, 'EPROTO', 'Protocol error'],
  [74, 'EBADMSG', 'Bad message'],
  [75, 'EOVERFLOW', 'Value too large for defined data type'],
  [88, 'ENOTSOCK', 'Socket operation on non-socket'],
  [90, 'EMSGSIZE', 'Message too long'],
  [92, 'ENOPROTOOPT', 'Protocol not available'],
  [93, 'EPROTONOSUPPORT', 'Protocol not supported'],
  [95, 'EOPNOTSUPP', 'Operation not supported'],
  [96, 'EPFNOSUPPORT', 'Protocol family not supported'],
  [97, 'EAFNOSUPPORT', 'Address family not supported by protocol'],
  [98, 'EADDRINUSE', 'Address already in use'],
  [99, 'EADDRNOTAVAIL', 'Cannot assign requested address'],
  [100, 'ENETDOWN', 'Network is down'],
  [101, 'ENETUNREACH', 'Network is unreachable'],
  [105, 'ENOBUFS', 'No buffer space available'],
  [110, 'ETIMEDOUT', 'Connection timed out'],
  [111, 'ECONNREFUSED', 'Connection refused'],
  [112, 'EHOSTDOWN', 'Host is down'],
  [113, 'EHOSTUNREACH', 'No route to host'],
  [114, 'EALREADY', 'Operation already in progress'],
  [115, 'EINPROGRESS', 'Operation now in progress'],
];

// musl's strerror differs from glibc's, so an Alpine host's `ip` speaks these (src/errno/__strerror.h of musl).
const MUSL: readonly (readonly [errno: number, text: string])[] = [
  [5, 'I/O error'],
  [12, 'Out of memory'],
  [16, 'Resource busy'],
  [18, 'Cross-device link'],
  [23, 'Too many open files in system'],
  [24, 'No file descriptors available'],
  [33, 'Domain error'],
  [34, 'Result not representable'],
  [61, 'No data available'],
  [62, 'Device timeout'],
  [75, 'Value too large for data type'],
  [88, 'Not a socket'],
  [90, 'Message too large'],
  [95, 'Not supported'],
  [97, 'Address family not supported by protocol'],
  [98, 'Address in use'],
  [99, 'Address not available'],
  [101, 'Network unreachable'],
  [110, 'Operation timed out'],
  [113, 'Host is unreachable'],
  [115, 'Operation in progress'],
];

const BY_NUMBER = new Map(ERRORS.map(([errno, name, text]) => [errno, { name, text }]));
const BY_TEXT = new Map([
  ...MUSL.map(([errno, text]) => [text, errno] as const),
  ...ERRORS.map(([errno, , text]) => [text, errno] as const),
]);

/** The name of an errno, `EEXIST` for 17; `E<number>` where we know none. */
export function errnoName(errno: number): string {
  return BY_NUMBER.get(errno)?.name ?? `E${errno}`;
}

/** The usual text of an errno, `File exists` for 17; `Unknown error <number>` where we know none. */
export function errnoText(errno: number): string {
  return BY_NUMBER.get(errno)?.text ?? `Unknown error ${errno}`;
}

/** The errno of strerror's text, glibc's or musl's, as `ip` prints it after "RTNETLINK answers: ". */
export function errnoOfText(text: string): number | undefined {
  const known = BY_TEXT.get(text);
  if (known !== undefined) return known;
  const number = /^Unknown error (\d+)$/.exec(text)?.[1];
  return number === undefined ? undefined : Number(number);
}
