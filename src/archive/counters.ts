/** What the archive has done since its process started. */
export interface ArchiveCounters {
  steps: number;
  messages: number;
  /** Of records that are in files now. */
  bytesTaken: number;
  /** Of the files that were written for them. */
  bytesWritten: number;
  /** Records that this program cannot read. */
  unreadable: number;
  /** Records that could not be had from the log. */
  gapRecords: number;
  failures: number;
  merges: number;
  /** Files whose bytes were not those that were written, or that were missing. */
  damaged: number;
  moved: number;
  movesFailed: number;
  fetched: number;
  evicted: number;
  /** Files removed because they were too old, or too large in sum. */
  expired: number;
}

export function newCounters(): ArchiveCounters {
  return {
    steps: 0,
    messages: 0,
    bytesTaken: 0,
    bytesWritten: 0,
    unreadable: 0,
    gapRecords: 0,
    failures: 0,
    merges: 0,
    damaged: 0,
    moved: 0,
    movesFailed: 0,
    fetched: 0,
    evicted: 0,
    expired: 0,
  };
}
