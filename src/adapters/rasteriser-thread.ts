/** The thread that makes bitmaps of drawings: resvg, compiled to WebAssembly, with a font that is on every machine the same. */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { parentPort } from "node:worker_threads";
import { reasonOf } from "../base/mod.ts";

export interface ToRasteriser {
  readonly id: number;
  readonly svg: string;
  readonly zoom: number;
}

export type FromRasteriser =
  | { readonly id: number; readonly png: Uint8Array }
  | { readonly id: number; readonly reason: string };

const FONTS = ["DejaVuSans.ttf", "DejaVuSans-Bold.ttf"];

type Render = (order: ToRasteriser) => Uint8Array;
let ready: Promise<Render> | null = null;

parentPort!.on("message", (order: ToRasteriser) => void answer(order));

async function answer(order: ToRasteriser): Promise<void> {
  const { id } = order;
  try {
    ready ??= load();
    const png = (await ready)(order);
    parentPort!.postMessage({ id, png } satisfies FromRasteriser, [png.buffer as ArrayBuffer]);
  } catch (error) {
    parentPort!.postMessage({ id, reason: reasonOf(error) } satisfies FromRasteriser);
  }
}

async function load(): Promise<Render> {
  const { resolve } = createRequire(import.meta.url);
  const { Resvg, initWasm } = await import("@resvg/resvg-wasm");
  const wasm = readFile(resolve("@resvg/resvg-wasm/index_bg.wasm"));
  const fonts = FONTS.map((name) => readFile(resolve(`dejavu-fonts-ttf/ttf/${name}`)));
  await initWasm(await wasm);
  const fontBuffers = await Promise.all(fonts);
  const family = "DejaVu Sans";
  const font = { fontBuffers, defaultFontFamily: family, sansSerifFamily: family };
  return ({ svg, zoom }) => {
    const drawing = new Resvg(svg, { font, fitTo: { mode: "zoom", value: zoom }, background: "#ffffff" });
    try {
      const image = drawing.render();
      try {
        return image.asPng().slice();
      } finally {
        image.free();
      }
    } finally {
      drawing.free();
    }
  };
}
