/** What the command line prints: results to standard output, everything else to standard error. */
import picocolors from "picocolors";
import { TidewireError, isTidewireError, reasonOf } from "../base/mod.ts";

export interface Output {
  /** A result, for people or for `--json`. */
  result(text: string): void;
  /** News for the person at the terminal; never part of a result. */
  note(text: string): void;
}

export const terminal: Output = {
  result: (text) => void process.stdout.write(`${text}\n`),
  note: (text) => void process.stderr.write(`${text}\n`),
};

/**
 * A reader that went away (`tidewire up --ready-json | head -1`) is no reason to end: who wants the rest no longer is not
 * told of it. Without this, Node ends the process at the next line.
 */
export function tolerateLostReaders(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
}

/** Colours only where a terminal shows them; `isTTY` is undefined, not false, for a pipe. */
export function coloursFor(stream: { readonly isTTY?: boolean }): ReturnType<typeof picocolors.createColors> {
  return picocolors.createColors(stream.isTTY === true && process.env["NO_COLOR"] === undefined);
}

/** Prints what was thrown as one sentence, what to do next, and its code. Returns the exit status. */
export function explain(error: unknown, output: Output): number {
  const ours = isTidewireError(error)
    ? error
    : new TidewireError("INTERNAL", { reason: reasonOf(error) }, { cause: error });
  const colour = coloursFor(process.stderr);
  output.note(`${colour.red("tidewire:")} ${ours.message}`);
  output.note(`  ${ours.fix}`);
  output.note(colour.dim(`  ${ours.code}`));
  // One of ours was explained, and its cause logged, where it was made.
  if (error instanceof Error && !isTidewireError(error)) output.note(error.stack ?? "");
  return ours.entry.exit ?? 1;
}

/** Rows as aligned columns; the first row is the head. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** A point in time as people read it in a table. */
export function day(at: number | null): string {
  return at === null ? "never" : new Date(at).toISOString().slice(0, 16).replace("T", " ");
}
