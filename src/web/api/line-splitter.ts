/** Lines out of pieces of text that end anywhere. */
export class LineSplitter {
  #rest = "";

  /** The lines that are whole now, without empty ones. */
  take(text: string): string[] {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop()!;
    return lines.filter((line) => line.trim() !== "");
  }
}
