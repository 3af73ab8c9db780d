/** Bytes that are no record that this program can read, or a message that no record can hold. */
export class RecordError extends Error {
  /**
   * `newer`: written by a newer Tidewire; `malformed`: damaged or foreign; `unfit`: a message that breaks MQTT's limits;
   * `note`: whole, but not a message.
   */
  readonly kind: "newer" | "malformed" | "unfit" | "note";

  constructor(kind: RecordError["kind"], detail: string) {
    super(detail);
    this.name = "RecordError";
    this.kind = kind;
  }
}
