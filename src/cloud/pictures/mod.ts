export { Pictures } from "./pictures.ts";
export type { PictureSources } from "./pictures.ts";
export type { SignedMoment } from "./picture-links.ts";
