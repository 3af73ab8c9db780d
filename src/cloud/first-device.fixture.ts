/** Stands for the agent in tests of its supervisor: holds its folder, ends when asked, or at once where told so. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { openDataFolder } from "../adapters/data-folder.ts";
import type { DataFolder } from "../adapters/data-folder.ts";

const config = process.argv[process.argv.indexOf("--config") + 1]!;
const folder = dirname(config);
if (existsSync(join(folder, "crash"))) {
  process.stderr.write("out of luck\n");
  process.exit(3);
}
let data: DataFolder | null = null;
// Before it holds its folder, by which the tests see that it is there.
if (!existsSync(join(folder, "deaf"))) {
  process.once("SIGTERM", () => {
    data?.release();
    process.exit(0);
  });
} else process.on("SIGTERM", () => {});
data = openDataFolder(join(folder, "data"));
// Keeps the process as a socket would.
setInterval(() => {}, 1000);
