/** Files whose rows are in order, as one: at midnight two files have offsets of one range. */

export interface OrderedFile {
  /** No row of it has a smaller offset. */
  readonly from: number;
}

interface Reading<R> {
  readonly rows: AsyncGenerator<readonly R[]>;
  batch: readonly R[];
  at: number;
}

/**
 * `files`: by `from`. A file is opened when its turn may have come, so that few are open at once: as many as share a range.
 */
export async function* inOrderOfOffset<F extends OrderedFile, R extends { readonly offset: number }>(
  files: readonly F[],
  read: (file: F) => AsyncGenerator<readonly R[]>,
): AsyncGenerator<readonly R[]> {
  const open: Reading<R>[] = [];
  let next = 0;
  try {
    for (;;) {
      let head = Math.min(...open.map(headOf));
      while (next < files.length && (open.length === 0 || files[next]!.from <= head)) {
        const reading: Reading<R> = { rows: read(files[next++]!), batch: [], at: 0 };
        open.push(reading); // before it is asked, so that it is closed whatever happens
        if (!(await fill(reading))) open.pop();
        head = Math.min(...open.map(headOf));
      }
      if (open.length === 0) return;
      const first = open.reduce((a, b) => (headOf(b) < headOf(a) ? b : a));
      // Up to where another one has something to say, or may have.
      const others = open.filter((reading) => reading !== first).map(headOf);
      const until = Math.min(...others, files[next]?.from ?? Infinity);
      const begin = first.at;
      while (first.at < first.batch.length && (first.at === begin || headOf(first) < until)) first.at++;
      yield first.batch.slice(begin, first.at);
      if (first.at === first.batch.length && !(await fill(first))) open.splice(open.indexOf(first), 1);
    }
  } finally {
    for (const { rows } of open) await rows.return(undefined);
  }
}

function headOf<R extends { readonly offset: number }>({ batch, at }: Reading<R>): number {
  return batch[at]!.offset;
}

/** False where it has no more. */
async function fill<R>(reading: Reading<R>): Promise<boolean> {
  for (;;) {
    const { value, done } = await reading.rows.next();
    if (done === true) return false;
    if (value.length === 0) continue;
    reading.batch = value;
    reading.at = 0;
    return true;
  }
}
