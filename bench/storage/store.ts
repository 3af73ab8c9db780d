/** What each database in the comparison does; its adapter says in which words. */
import type { ChildProcess } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { DataSet } from "./dataset.ts";

export type StoreName = "tidewire" | "influxdb" | "victoria" | "postgresql";

/** Answers are compared, so each is reduced to what all of them can say. */
export interface Answer {
  /** Rows or points. */
  readonly size: number;
  /** Of all values, rounded: answers that differ are not the same query. */
  readonly sum: number;
}

export interface Store {
  readonly name: StoreName;
  /** What an acknowledged write means. */
  readonly durability: string;
  readonly process: ChildProcess;
  /** Makes the requests beforehand; what it returns sends them, and resolves when all of it was acknowledged. */
  prepare(data: DataSet): Promise<() => Promise<void>>;
  /** Resolves when a query sees all that was acknowledged. */
  visible(data: DataSet): Promise<void>;
  /** Waits until nothing is to be merged or compacted any more. */
  settle(): Promise<void>;
  /** Bytes on disk, of the data and its index. */
  bytes(): number;
  /** One field of one device, averages of 5 minutes. */
  averages(data: DataSet, device: string, field: string): Promise<Answer>;
  /** The average of every field of every device over all of the time. */
  byDevice(data: DataSet): Promise<Answer>;
  /** The same as a user's SQL, where there are two ways to ask. */
  byDeviceInSql?(data: DataSet): Promise<Answer>;
  /** One field of one device over all of the time, for 1,000 pixels: at least the extremes of every thousandth. */
  drawn(data: DataSet, device: string, field: string, pixels: number): Promise<Answer>;
  stop(): Promise<void>;
}

/** `stat` counts in these, whatever the file system does. */
const BLOCK_BYTES = 512;

/** 5 minutes. */
export const WINDOW = 300_000;

export function answerOf(values: readonly number[]): Answer {
  return { size: values.length, sum: Math.round(values.reduce((sum, value) => sum + value, 0)) };
}

/** What the file system has given to the files: some databases make large ones that are empty. */
export function bytesBelow(folder: string): number {
  let bytes = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    bytes += (statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.blocks ?? 0) * BLOCK_BYTES;
  }
  return bytes;
}

export async function fetched(url: string, init: RequestInit = {}): Promise<Response> {
  const response = await fetch(url, init);
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`);
  return response;
}
