/** A will as text in a row: rare, small, and read back only after a restart. Bytes travel as base64. */
import type { SavedSession } from "../../broker/mod.ts";

type SavedWill = NonNullable<SavedSession["will"]>;

const BYTES = "base64:";

export function willToJson(will: SavedWill): string {
  // A Buffer would turn itself into JSON before the replacer sees it; wills hold plain arrays.
  return JSON.stringify(will, (_key, value: unknown) =>
    value instanceof Uint8Array ? BYTES + Buffer.from(value).toString("base64") : value,
  );
}

export function willFromJson(text: string): SavedWill {
  // A file of an earlier version says nothing of the owner.
  const { will, thing, owner = null } = JSON.parse(text) as Omit<SavedWill, "owner"> & Partial<SavedWill>;
  const { properties } = will;
  const payload = bytesOf(will.payload);
  if (properties?.correlationData === undefined) return { will: { ...will, payload }, thing, owner };
  const correlationData = bytesOf(properties.correlationData);
  return { will: { ...will, payload, properties: { ...properties, correlationData } }, thing, owner };
}

/** The two places that hold bytes hold the text that `willToJson` wrote; elsewhere such a text is just a text. */
function bytesOf(value: unknown): Uint8Array {
  if (typeof value !== "string" || !value.startsWith(BYTES)) throw new TypeError("broker.db: a will without payload");
  return new Uint8Array(Buffer.from(value.slice(BYTES.length), "base64"));
}
