/** Times at which keys want attention: one time per key, the earliest known at once, everything else O(log n). */

interface Slot<K> {
  readonly key: K;
  readonly at: number;
}

export class Schedule<K> {
  readonly #times = new Map<K, number>();
  /** A binary heap by time. Slots that #times no longer agrees with are skipped when they come to the top. */
  #heap: Slot<K>[] = [];

  get next(): number | undefined {
    this.#dropStale();
    return this.#heap[0]?.at;
  }

  keys(): Iterable<K> {
    return this.#times.keys();
  }

  set(key: K, at: number): void {
    if (this.#times.get(key) === at) return;
    this.#times.set(key, at);
    // Slots of times that were set again pile up below the top: start afresh before they outnumber the keys.
    if (this.#heap.length > 64 + 2 * this.#times.size) this.#rebuild();
    else this.#push({ key, at });
  }

  delete(key: K): void {
    if (this.#times.size > 0) this.#times.delete(key);
  }

  /** Takes out and returns the keys whose time has come. */
  due(now: number): K[] {
    const keys: K[] = [];
    for (let next = this.next; next !== undefined && next <= now; next = this.next) {
      const slot = this.#pop();
      if (slot === undefined) break;
      this.#times.delete(slot.key);
      keys.push(slot.key);
    }
    return keys;
  }

  #dropStale(): void {
    for (let top = this.#heap[0]; top !== undefined; top = this.#heap[0]) {
      if (this.#times.get(top.key) === top.at) return;
      this.#pop();
    }
  }

  #rebuild(): void {
    // An array in ascending order is a heap.
    this.#heap = [...this.#times].map(([key, at]) => ({ key, at })).sort((a, b) => a.at - b.at);
  }

  #push(slot: Slot<K>): void {
    const heap = this.#heap;
    let i = heap.length;
    while (i > 0) {
      const up = (i - 1) >> 1;
      const parent = heap[up];
      if (parent === undefined || parent.at <= slot.at) break;
      heap[i] = parent;
      i = up;
    }
    heap[i] = slot;
  }

  #pop(): Slot<K> | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return top;
    let i = 0;
    for (;;) {
      const left = heap[2 * i + 1];
      const right = heap[2 * i + 2];
      const child = right !== undefined && left !== undefined && right.at < left.at ? right : left;
      if (child === undefined || child.at >= last.at) break;
      heap[i] = child;
      i = child === right ? 2 * i + 2 : 2 * i + 1;
    }
    heap[i] = last;
    return top;
  }
}
