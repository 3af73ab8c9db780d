/** `npm run bundle:agent`: the edge agent as one JavaScript file that needs Node 24 and nothing else. */
import { join } from "node:path";
import { build } from "esbuild";

const root = join(import.meta.dirname, "..");

/** Returns the path of the file. */
export async function bundleAgent(outfile: string = join(root, "dist/agent.mjs")): Promise<string> {
  await build({
    entryPoints: [join(root, "src/cli/agent-main.ts")],
    outfile,
    bundle: true,
    platform: "node",
    target: "node24",
    format: "esm",
    // Packages of the old module kind ask for `require`.
    banner: { js: 'import { createRequire } from "node:module";\nconst require = createRequire(import.meta.url);' },
    logLevel: "warning",
  });
  return outfile;
}

if (import.meta.main) process.stdout.write(`${await bundleAgent()}\n`);
