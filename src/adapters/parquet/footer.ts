/** What the end of a Parquet file says of its row groups (github.com/apache/parquet-format, parquet.thrift). */
import { ThriftReader } from "./thrift.ts";
import type { ThriftStruct, ThriftValue } from "./thrift.ts";

export type PhysicalType = "INT32" | "INT64" | "DOUBLE";

/** One column of one row group. */
export interface Chunk {
  readonly type: PhysicalType;
  /** Whether each page begins with levels that say which rows are NULL; here none is. */
  readonly optional: boolean;
  readonly rows: number;
  readonly offset: number;
  readonly bytes: number;
  /** A DECIMAL is stored as an integer of so many per unit; else 1. */
  readonly divisor: number;
  /** Of integers. */
  readonly min: number;
  readonly max: number;
}

export interface RowGroup {
  readonly rows: number;
  /** By name. Columns that cannot be read here are left out. */
  readonly columns: ReadonlyMap<string, Chunk>;
}

const MAGIC = "PAR1";
const TYPES: Readonly<Record<number, PhysicalType>> = { 1: "INT32", 2: "INT64", 5: "DOUBLE" };
const ZSTD = 6;
/** A converted type. */
const DECIMAL = 5;
const REQUIRED = 0;
const OPTIONAL = 1;

/** The length of the footer, of the last eight bytes. */
export function footerLength(tail: Uint8Array): number {
  if (Buffer.from(tail.buffer, tail.byteOffset + 4, 4).toString("latin1") !== MAGIC)
    throw new Error("it is no Parquet");
  return new DataView(tail.buffer, tail.byteOffset, 4).getUint32(0, true);
}

export function rowGroupsOf(footer: Uint8Array): readonly RowGroup[] {
  const file = new ThriftReader(footer, 0).struct();
  const elements = new Map(structs(file.get(2)).map((element) => [text(element.get(4)), element]));
  return structs(file.get(4)).map((group) => {
    const columns = new Map<string, Chunk>();
    for (const column of structs(group.get(1))) {
      const meta = struct(column.get(3));
      const path = list(meta.get(3)).map(text);
      const chunk = path.length === 1 ? chunkOf(meta, elements.get(path[0]!)) : null;
      if (chunk !== null) columns.set(path[0]!, chunk);
    }
    return { rows: integer(group.get(3)), columns };
  });
}

function chunkOf(meta: ThriftStruct, element: ThriftStruct | undefined): Chunk | null {
  const type = TYPES[integer(meta.get(1))];
  const statistics = meta.get(12);
  if (type === undefined || statistics === undefined || integer(meta.get(4)) !== ZSTD) return null;
  const known = struct(statistics);
  const [nulls, max, min] = [known.get(3), known.get(5), known.get(6)];
  if (nulls !== 0 || !(max instanceof Uint8Array) || !(min instanceof Uint8Array)) return null;
  const repetition = element?.get(3) ?? REQUIRED;
  if (repetition !== REQUIRED && repetition !== OPTIONAL) return null;
  return {
    type,
    optional: repetition === OPTIONAL,
    divisor: element?.get(6) === DECIMAL ? 10 ** integer(element.get(7) ?? 0) : 1,
    rows: integer(meta.get(5)),
    offset: integer(meta.get(11) ?? meta.get(9)),
    bytes: integer(meta.get(7)),
    min: valueOf(type, min),
    max: valueOf(type, max),
  };
}

function valueOf(type: PhysicalType, bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (type === "INT32") return view.getInt32(0, true);
  return type === "DOUBLE"
    ? view.getFloat64(0, true)
    : view.getUint32(0, true) + view.getInt32(4, true) * 4_294_967_296;
}

function struct(value: ThriftValue | undefined): ThriftStruct {
  if (!(value instanceof Map)) throw new Error("its footer is not one of Parquet");
  return value as ThriftStruct;
}

function list(value: ThriftValue | undefined): readonly ThriftValue[] {
  if (!Array.isArray(value)) throw new Error("its footer is not one of Parquet");
  return value as readonly ThriftValue[];
}

function structs(value: ThriftValue | undefined): readonly ThriftStruct[] {
  return list(value).map(struct);
}

function integer(value: ThriftValue | undefined): number {
  if (!Number.isSafeInteger(value)) throw new Error("its footer is not one of Parquet");
  return value as number;
}

function text(value: ThriftValue | undefined): string {
  if (!(value instanceof Uint8Array)) throw new Error("its footer is not one of Parquet");
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("utf8");
}
