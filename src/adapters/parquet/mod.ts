export { ParquetFile, Scratch } from "./file.ts";
export type { OpenRowGroup } from "./file.ts";
