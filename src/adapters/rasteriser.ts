/** Bitmaps of drawings, made in a thread of their own that is there only while it is needed. */
import { Worker } from "node:worker_threads";
import { kib, mib, seconds } from "../base/mod.ts";
import type { Millis } from "../base/mod.ts";
import type { FromRasteriser, ToRasteriser } from "./rasteriser-thread.ts";

export interface RasteriserOptions {
  readonly timeout?: Millis;
  readonly idleMax?: Millis;
  readonly spawn?: () => Worker;
}

/** A picture takes a quarter of a second; the first one a second more. */
const TIMEOUT: Millis = seconds(5);
/** Then its 30 MB are given back. */
const IDLE_MAX: Millis = seconds(60);
/** On the way at once. */
const PENDING_MAX = 8;
const SVG_CHARS_MAX = kib(256);
const PNG_BYTES_MAX = mib(2);
/** For phones with fine screens. */
const ZOOM = 2;

interface Pending {
  readonly resolve: (png: Uint8Array) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

export class Rasteriser {
  readonly #o: RasteriserOptions;
  readonly #pending = new Map<number, Pending>();
  #worker: Worker | null = null;
  #idle: NodeJS.Timeout | null = null;
  #id = 0;
  #closed = false;

  constructor(options: RasteriserOptions = {}) {
    this.#o = options;
  }

  /** PNG. Rejects where it takes too long, where there are too many, and where the libraries are not installed. */
  png(svg: string): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(new Error("the platform stops"));
      if (svg.length > SVG_CHARS_MAX) return reject(new Error("the drawing is too large"));
      if (this.#pending.size >= PENDING_MAX) return reject(new Error("too many pictures are being made"));
      const id = ++this.#id;
      const timer = setTimeout(() => this.#end("a picture took too long"), this.#o.timeout ?? TIMEOUT);
      this.#pending.set(id, { resolve, reject, timer });
      this.#thread().postMessage({ id, svg, zoom: ZOOM } satisfies ToRasteriser);
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    const worker = this.#worker;
    this.#end("the platform stops");
    await worker?.terminate();
  }

  #thread(): Worker {
    if (this.#idle !== null) clearTimeout(this.#idle);
    this.#idle = null;
    if (this.#worker !== null) return this.#worker;
    const worker = (this.#o.spawn ?? spawned)();
    this.#worker = worker;
    worker.unref();
    worker.on("message", (news: FromRasteriser) => this.#take(news));
    worker.on("error", (error) => this.#end(error.message, worker));
    worker.on("exit", () => this.#end("the thread for pictures ended", worker));
    return worker;
  }

  #take(news: FromRasteriser): void {
    const pending = this.#pending.get(news.id);
    if (pending === undefined) return;
    this.#pending.delete(news.id);
    clearTimeout(pending.timer);
    if ("reason" in news) pending.reject(new Error(news.reason));
    else if (news.png.length > PNG_BYTES_MAX) pending.reject(new Error("the picture is too large"));
    else pending.resolve(news.png);
    if (this.#pending.size > 0) return;
    this.#idle = setTimeout(() => this.#end("nobody needs it"), this.#o.idleMax ?? IDLE_MAX);
    this.#idle.unref();
  }

  /** WebAssembly that does not come to its end cannot be stopped otherwise. */
  #end(reason: string, of: Worker | null = this.#worker): void {
    if (of === null || this.#worker !== of) return;
    this.#worker = null;
    if (this.#idle !== null) clearTimeout(this.#idle);
    this.#idle = null;
    void of.terminate();
    for (const { reject, timer } of this.#pending.values()) {
      clearTimeout(timer);
      reject(new Error(reason));
    }
    this.#pending.clear();
  }
}

function spawned(): Worker {
  return new Worker(new URL("rasteriser-thread.ts", import.meta.url), { execArgv: [], name: "pictures" });
}
